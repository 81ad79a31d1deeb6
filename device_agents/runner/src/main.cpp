// lutbench-runner: reads a job, measures, writes records.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "digest.hpp"
#include "engine.hpp"
#include "run.hpp"
#include "server.hpp"
#include "signals.hpp"
#include "system.hpp"

namespace {

constexpr int kDone = 0;
constexpr int kFatal = 1;     // the job's records say why
constexpr int kWrongUse = 2;
constexpr int kNoOutput = 3;  // records could not be written

constexpr char kHelp[] =
    "Usage: lutbench-runner --job JOB --output RECORDS\n"
    "       lutbench-runner --serve PORT\n"
    "       lutbench-runner --sha256 LIST\n"
    "       lutbench-runner --help | --version\n"
    "\n"
    "Times exported operators and nets as a job says, for lutbench (docs/reference/runner.md describes job and records).\n"
    "\n"
    "  --job JOB          a file with one job, or - for standard input\n"
    "  --output RECORDS   the file its records go to, replaced, or - for standard output\n"
    "  --serve PORT       take jobs on 127.0.0.1:PORT, a line each, and answer with their records\n"
    "  --sha256 LIST      print the SHA-256 of the files named in LIST, a line each, or - for standard input\n"
    "\n"
    "Exit status: 0 the job ran to its end, 1 it did not (its `fatal` record says why) or a file cannot be read,\n"
    "2 wrong use, 3 its records cannot be written.\n";

std::string engine_names() {
  std::string names;
  for (const auto& [name, unused] : lutbench::engines()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

int wrong_use(const std::string& problem) {
  std::fprintf(stderr, "lutbench-runner: %s; --help says what it takes\n", problem.c_str());
  return kWrongUse;
}

int run_batch(const std::string& job, const std::string& output) {
  const int descriptor =
      output == "-" ? STDOUT_FILENO : open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    std::fprintf(stderr, "lutbench-runner: %s: %s\n", output.c_str(), std::strerror(errno));
    return kNoOutput;
  }
  const auto slash = job.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : job.substr(0, slash + 1);
  lutbench::RecordWriter out(descriptor);
  std::ifstream file(job == "-" ? "/dev/stdin" : job, std::ios::binary);
  if (!file) {
    out.write({{"fatal", "the job file cannot be opened: " + job}});
    return kFatal;
  }
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return lutbench::run_job(text, folder, lutbench::engines(), out) ? kDone : kFatal;
}

// The sums as sha256sum prints them: for systems that lack it. A file that cannot be read costs its line.
int print_sums(const std::string& list) {
  std::ifstream file;
  if (list != "-") {
    file.open(list);
    if (!file) {
      std::fprintf(stderr, "lutbench-runner: %s: %s\n", list.c_str(), std::strerror(errno));
      return kFatal;
    }
  }
  int status = kDone;
  std::istream& names = list == "-" ? std::cin : file;
  for (std::string name; std::getline(names, name);) {
    try {
      std::printf("%s  %s\n", lutbench::file_sha256(name).c_str(), name.c_str());
    } catch (const std::runtime_error& error) {
      std::fprintf(stderr, "lutbench-runner: %s\n", error.what());
      status = kFatal;
    }
  }
  return std::fflush(stdout) == 0 && !std::ferror(stdout) ? status : kNoOutput;
}

int run(const std::map<std::string, std::string>& options) {
  const bool batch = options.count("--job") && options.count("--output") && options.size() == 2;
  const bool server = options.count("--serve") && options.size() == 1;
  if (batch) return run_batch(options.at("--job"), options.at("--output"));
  if (options.count("--sha256") && options.size() == 1) return print_sums(options.at("--sha256"));
  if (!server) return wrong_use("give --job and --output, or --serve, or --sha256");
  const std::string& text = options.at("--serve");
  const bool digits = !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || std::stoi(text) > 65535) return wrong_use("not a port: " + text);
  lutbench::serve(std::stoi(text), lutbench::engines());
  return kNoOutput;
}

}  // namespace

int main(int count, char** words) try {
  std::map<std::string, std::string> options;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--help" || word == "-h") return std::fputs(kHelp, stdout) < 0 ? kNoOutput : kDone;
    if (word == "--version") {
      std::printf("lutbench-runner %s (%s; %s)\n", LUTBENCH_RUNNER_VERSION, engine_names().c_str(), lutbench::abi());
      return kDone;
    }
    const bool known = word == "--job" || word == "--output" || word == "--serve" || word == "--sha256";
    if (!known) return wrong_use("no such option: " + word);
    if (i + 1 == count) return wrong_use(word + " needs a value");
    options[word] = words[++i];
  }
  lutbench::catch_fatal_signals();
  return run(options);
} catch (const std::exception& error) {
  std::fprintf(stderr, "lutbench-runner: %s\n", error.what());
  return kNoOutput;
}

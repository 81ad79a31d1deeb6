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
#include <set>
#include <string>

#include "digest.hpp"
#include "engine.hpp"
#include "follow.hpp"
#include "server.hpp"
#include "session.hpp"
#include "signals.hpp"
#include "system.hpp"

namespace {

constexpr int kDone = 0;
constexpr int kFatal = 1;     // the job's records say why
constexpr int kWrongUse = 2;
constexpr int kNoOutput = 3;  // records could not be written

constexpr std::int64_t kIdleS = 120;  // without a job: whoever gave them has gone

constexpr char kHelp[] =
    "Usage: lutbench-runner --job JOB --output RECORDS\n"
    "       lutbench-runner --jobs FOLDER\n"
    "       lutbench-runner --serve PORT [--library FILE]\n"
    "       lutbench-runner --sha256 LIST\n"
    "       lutbench-runner --help | --version\n"
    "\n"
    "Times exported operators and nets as a job says, for lutbench (docs/reference/runner.md describes job and records).\n"
    "\n"
    "  --job JOB          a file with one job, or - for standard input\n"
    "  --output RECORDS   the file its records go to, replaced, or - for standard output\n"
    "  --jobs FOLDER      take the jobs FOLDER/1.json, FOLDER/2.json, ... as they appear; their records go to\n"
    "                     FOLDER/1.jsonl and so on; a job's file is removed when it has ended. Ends where the folder\n"
    "                     goes, or after 120 s without a job. -: jobs on standard input, a line each, records on\n"
    "                     standard output; ends at once where its input is closed, in the midst of a job too\n"
    "  --serve PORT       take jobs on 127.0.0.1:PORT, a line each, and answer with their records; each has to bring\n"
    "                     the token that the first line printed names\n"
    "  --library FILE     what a server's engine opens: its jobs may not name one\n"
    "  --await JOB        wait until the file of a job of --jobs is gone, or the process that has it\n"
    "  --for MS           but no longer than that\n"
    "  --bytes N          nor once its records are so many bytes\n"
    "  --from N           then print how the job stands (docs/reference/runner.md) and its records from that byte on\n"
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
  lutbench::Session session(lutbench::engines());
  return session.run(text, folder, out) ? kDone : kFatal;
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

// A whole number from 0 to most; -1 for anything else.
int number_of(const std::string& text, int most) {
  const bool digits = !text.empty() && text.size() <= 9 && text.find_first_not_of("0123456789") == std::string::npos;
  return digits && std::stoi(text) <= most ? std::stoi(text) : -1;
}

using Options = std::map<std::string, std::string>;

int run_jobs(const Options& options) {
  if (options.at("--jobs") == "-") {
    lutbench::take_jobs(lutbench::engines());
  } else {
    lutbench::follow_jobs(options.at("--jobs"), lutbench::engines(), kIdleS);
  }
  return kDone;
}

int run_server(const Options& options) {
  const int port = number_of(options.at("--serve"), 65535);
  if (port < 0) return wrong_use("not a port: " + options.at("--serve"));
  const auto library = options.find("--library");
  lutbench::serve(port, library == options.end() ? "" : library->second, lutbench::engines());
  return kNoOutput;
}

int run_await(const Options& options) {
  const int limit_ms = number_of(options.at("--for"), 60'000);
  if (limit_ms < 0) return wrong_use("not milliseconds, at most 60000: " + options.at("--for"));
  const auto given = options.find("--bytes");
  const int bytes = given == options.end() ? 0 : number_of(given->second, 1 << 30);
  if (bytes < 0) return wrong_use("not a number of bytes: " + given->second);
  const auto start = options.find("--from");
  const int from = start == options.end() ? 0 : number_of(start->second, 1 << 30);
  if (from < 0) return wrong_use("not a number of bytes: " + start->second);
  lutbench::await_job(options.at("--await"), limit_ms, static_cast<std::uintmax_t>(bytes));
  if (start != options.end()) lutbench::print_job(options.at("--await"), static_cast<std::uintmax_t>(from));
  return kDone;
}

// The options of one way to start it, and what it then does.
struct Way {
  std::set<std::string> needed;
  std::set<std::string> others;
  int (*run)(const Options&);
};

const Way kWays[] = {
    {{"--job", "--output"}, {}, [](const Options& o) { return run_batch(o.at("--job"), o.at("--output")); }},
    {{"--jobs"}, {}, run_jobs},
    {{"--serve"}, {"--library"}, run_server},
    {{"--sha256"}, {}, [](const Options& o) { return print_sums(o.at("--sha256")); }},
    {{"--await", "--for"}, {"--bytes", "--from"}, run_await},
};

bool fits(const Way& way, const Options& options) {
  for (const auto& name : way.needed) {
    if (!options.count(name)) return false;
  }
  for (const auto& [name, unused] : options) {
    if (!way.needed.count(name) && !way.others.count(name)) return false;
  }
  return true;
}

int run(const Options& options) {
  for (const auto& way : kWays) {
    if (fits(way, options)) return way.run(options);
  }
  return wrong_use("give --job and --output, or --jobs, or --serve, or --sha256");
}

bool is_option(const std::string& word) {
  for (const auto& way : kWays) {
    if (way.needed.count(word) || way.others.count(word)) return true;
  }
  return false;
}

}  // namespace

int main(int count, char** words) try {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    if (word == "--help" || word == "-h") return std::fputs(kHelp, stdout) < 0 ? kNoOutput : kDone;
    if (word == "--version") {
      std::printf("lutbench-runner %s (%s; %s)\n", LUTBENCH_RUNNER_VERSION, engine_names().c_str(), lutbench::abi());
      return kDone;
    }
    if (!is_option(word)) return wrong_use("no such option: " + word);
    if (i + 1 == count) return wrong_use(word + " needs a value");
    options[word] = words[++i];
  }
  lutbench::catch_fatal_signals();
  return run(options);
} catch (const std::exception& error) {
  std::fprintf(stderr, "lutbench-runner: %s\n", error.what());
  return kNoOutput;
}

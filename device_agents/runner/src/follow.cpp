#include "follow.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>

#include "session.hpp"
#include "system.hpp"

namespace lutbench {
namespace {

constexpr std::int64_t kShortestPauseUs = 1000;  // between two looks, where nothing tells of a change
constexpr std::int64_t kLongestPauseUs = 20'000;
constexpr std::int64_t kPauseShare = 20;  // the part of the time waited so far that the next pause takes

// Pauses that end where a file of the folder was written, brought there or removed, or where the folder goes: the system
// tells of that. It looks time and again all the same, for not every file system does.
class Pauses {
 public:
  explicit Pauses(const std::string& folder) : descriptor_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    if (descriptor_ < 0) return;
    if (inotify_add_watch(descriptor_, folder.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF) < 0) {
      close(descriptor_);
      descriptor_ = -1;
    }
  }
  Pauses(const Pauses&) = delete;
  Pauses& operator=(const Pauses&) = delete;
  ~Pauses() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  // Short jobs are answered at once, and long ones are not disturbed by whoever waits for them.
  void since(std::int64_t began_ns) const {
    const std::int64_t share_us = (now_ns() - began_ns) / 1000 / kPauseShare;
    const std::int64_t pause_us = std::clamp(share_us, kShortestPauseUs, kLongestPauseUs);
    if (descriptor_ < 0) {
      usleep(static_cast<useconds_t>(pause_us));
      return;
    }
    pollfd changes{descriptor_, POLLIN, 0};
    poll(&changes, 1, static_cast<int>(pause_us / 1000));
    char told[4096];  // of what: it is looked at anew
    while (read(descriptor_, told, sizeof told) > 0) continue;
  }

 private:
  int descriptor_;
};

std::string folder_of(const std::string& file) {
  const auto slash = file.rfind('/');
  return slash == std::string::npos ? "." : file.substr(0, slash);
}

std::uintmax_t size_of(const std::string& path) {
  struct stat about {};
  return stat(path.c_str(), &about) == 0 ? static_cast<std::uintmax_t>(about.st_size) : 0;
}

bool exists(const std::string& path) {
  struct stat about {};
  return stat(path.c_str(), &about) == 0;
}

// Of a job, by its file.
std::string records_of(const std::string& file) { return file.substr(0, file.rfind('.')) + ".jsonl"; }

// Whether the folder's process has ended; not where it has not said its number yet.
bool is_gone(const std::string& folder) {
  pid_t pid = 0;
  std::ifstream(folder + "/pid") >> pid;
  return pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

// A job whose last byte has come; what is being written is not one yet.
std::optional<std::string> whole_job(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file || file.tellg() <= 0) return std::nullopt;
  file.seekg(-1, std::ios::end);
  if (file.get() != '\n') return std::nullopt;
  file.seekg(0);
  return std::string{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void run_one(const std::string& text, const std::string& records, const std::string& folder, Session& session) {
  const int descriptor = open(records.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) throw OutputError(records + ": " + std::strerror(errno));
  RecordWriter out(descriptor);
  try {
    session.run(text, folder, out);
  } catch (...) {
    close(descriptor);
    throw;
  }
  close(descriptor);
}

// A caller that is killed closes the input, and a job, or a runtime that hangs in it, is not to outlive it.
void end_with_input() {
  pollfd input{STDIN_FILENO, 0, 0};
  while (poll(&input, 1, -1) < 0 && errno == EINTR) continue;
  _exit(0);
}

}  // namespace

void follow_jobs(const std::string& folder, const EngineTable& table, std::int64_t idle_s) {
  Session session(table);
  const Pauses pauses(folder);
  std::int64_t heard_ns = now_ns();
  for (long number = 1;;) {
    const std::string job = folder + "/" + std::to_string(number);
    if (const auto text = whole_job(job + ".json")) {
      unlink((folder + "/" + std::to_string(number - 2) + ".jsonl").c_str());  // the last one's are being read, perhaps
      run_one(*text, job + ".jsonl", folder, session);
      unlink((job + ".json").c_str());
      ++number;
      heard_ns = now_ns();
      continue;
    }
    unlink((folder + "/" + std::to_string(number - 1) + ".json").c_str());  // given again, as nobody saw it arrive
    if (!exists(folder) || now_ns() - heard_ns > idle_s * 1'000'000'000) return;
    pauses.since(heard_ns);
  }
}

void take_jobs(const EngineTable& table) {
  const int output = dup(STDOUT_FILENO);
  if (output < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {  // what a runtime prints must not mix with the records
    throw OutputError(std::string("standard output: ") + std::strerror(errno));
  }
  std::thread(end_with_input).detach();
  RecordWriter out(output);
  Session session(table);
  for (std::string line; std::getline(std::cin, line);) session.run(line, ".", out);
}

void await_job(const std::string& file, std::int64_t milliseconds, std::uintmax_t bytes) {
  const std::int64_t began_ns = now_ns();
  const std::int64_t until = began_ns + milliseconds * 1'000'000;
  const std::string folder = folder_of(file);
  const std::string records = records_of(file);
  const Pauses pauses(folder);
  while (now_ns() < until && exists(file)) {
    if (bytes && size_of(records) >= bytes) return;
    if (is_gone(folder)) return;
    pauses.since(began_ns);
  }
}

void print_job(const std::string& file, std::uintmax_t from) {
  const std::string folder = folder_of(file);
  // in this order: a process that has ended, and a job whose file is gone, write no record more
  const bool gone = is_gone(folder), done = !exists(file);
  std::string status;
  std::ifstream(folder + "/status") >> status;
  std::string text = std::to_string(gone) + " " + std::to_string(done) + " " + (status.empty() ? "-" : status) + "\n";
  std::ifstream records(records_of(file), std::ios::binary);
  if (records.seekg(static_cast<std::streamoff>(from))) {
    text.append(std::istreambuf_iterator<char>(records), std::istreambuf_iterator<char>());
  }
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw OutputError(std::string("standard output: ") + std::strerror(errno));
  }
}

}  // namespace lutbench

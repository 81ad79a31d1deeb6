#include "system.hpp"

#include "platform.hpp"

#if LUTBENCH_LINUX
#include <sched.h>
#endif
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

namespace lutbench {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLeastPauseNs = 200'000'000;  // between two readings of the state
constexpr std::int64_t kPausePerCost = 50;           // how many times its own duration a reading waits at least

std::optional<std::int64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value ? std::optional(value) : std::nullopt;
}

// Folders named PREFIX and a number, in the order of the numbers.
std::map<int, std::string> numbered(const std::string& folder, const std::string& prefix) {
  std::map<int, std::string> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename();
    const std::string number = name.substr(std::min(prefix.size(), name.size()));
    const bool digits = !number.empty() && number.size() < 6 && number.find_first_not_of("0123456789") == std::string::npos;
    if (digits && name.rfind(prefix, 0) == 0) found[std::stoi(number)] = entry->path();
  }
  return found;
}

template <typename Sources>
std::map<std::string, std::int64_t> readings(const Sources& sources) {
  std::map<std::string, std::int64_t> values;
  for (const auto& source : sources) {
    if (const auto value = number_in(source.path)) values[source.name] = *value;
  }
  return values;
}

}  // namespace

std::int64_t now_ns() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC_RAW, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

#if LUTBENCH_LINUX

long preemptions() {
  rusage usage{};
  return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nivcsw : 0;
}

int core_now() { return sched_getcpu(); }

std::vector<int> cores_now() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

bool stay_on(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(core, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

#else

// The whole process's: the system does not count a thread's alone. The app does nothing else while it measures.
long preemptions() {
  rusage usage{};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : 0;
}

int core_now() { return -1; }

std::vector<int> cores_now() { return {}; }

bool stay_on(const std::vector<int>&) { return false; }

#endif

StateReader::StateReader(std::string root) : began_ns_(now_ns()) {
  for (const auto& [number, folder] : numbered(root + "/class/thermal", "thermal_zone")) {
    std::string type;
    std::ifstream(folder + "/type") >> type;
    if (type.empty()) type = "thermal_zone" + std::to_string(number);
    const bool taken = std::any_of(zones_.begin(), zones_.end(), [&](const auto& zone) { return zone.name == type; });
    zones_.push_back({taken ? type + "/" + std::to_string(number) : type, folder + "/temp"});
  }
  for (const auto& [number, folder] : numbered(root + "/devices/system/cpu", "cpu")) {
    cores_.push_back({std::to_string(number), folder + "/cpufreq/scaling_cur_freq"});
  }
}

const State& StateReader::read() {
  const std::int64_t start = now_ns();
  if (start < next_ns_) return state_;
  state_ = {(start - began_ns_) / 1'000'000, readings(zones_), readings(cores_)};
  const std::int64_t end = now_ns();
  next_ns_ = end + std::max(kLeastPauseNs, kPausePerCost * (end - start));
  return state_;
}

const char* abi() {
#if defined(__aarch64__)
#define LUTBENCH_MACHINE "aarch64"
#elif defined(__x86_64__)
#define LUTBENCH_MACHINE "x86_64"
#else
#define LUTBENCH_MACHINE "unknown"
#endif
#if defined(__APPLE__)
  return LUTBENCH_MACHINE "-apple-ios";
#elif defined(__ANDROID__)
  return LUTBENCH_MACHINE "-linux-android";
#else
  return LUTBENCH_MACHINE "-linux-gnu";
#endif
}

}  // namespace lutbench

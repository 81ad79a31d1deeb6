// What the runner asks of the system: the clock, cores, temperatures, frequencies.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lutbench {

// CLOCK_MONOTONIC_RAW: no clock discipline bends it.
std::int64_t now_ns();

// How often the system has taken the core from this thread.
long preemptions();

// The core this thread runs on; -1 where the system does not say.
int core_now();

// The cores this thread may run on.
std::vector<int> cores_now();
// Keeps this thread and those it starts on some cores; whether the system let it.
bool stay_on(const std::vector<int>& cores);

// Temperatures by thermal zone, thousandths of a degree Celsius; frequencies by core, kHz. What cannot be read is absent.
struct State {
  std::int64_t at_ms = 0;  // when it was read, since the job began
  std::map<std::string, std::int64_t> temperature_mc;
  std::map<std::string, std::int64_t> khz;
};

// Reads the state, but not so often that it takes more than 2 % of the time: in between the last reading stands.
class StateReader {
 public:
  explicit StateReader(std::string root = "/sys");
  const State& read();

 private:
  struct Source {
    std::string name;
    std::string path;
  };
  std::vector<Source> zones_;
  std::vector<Source> cores_;
  State state_;
  std::int64_t began_ns_;
  std::int64_t next_ns_ = 0;
};

// The machine and C library this was built for, as "aarch64-linux-gnu".
const char* abi();

}  // namespace lutbench

#include "syscalls.hpp"

#include "platform.hpp"

#if LUTBENCH_LINUX

#include <sys/syscall.h>

#include <array>
#include <atomic>
#include <cstddef>

namespace lutbench {
namespace {

struct Call {
  long number;
  const char* name;
  bool dispensable;
};

// The reason stands beside each. What is in no row ends the run: its caller may have no other way, or take a wrong one.
constexpr Call kCalls[] = {
#define LUTBENCH_WITHOUT(name) {SYS_##name, #name, true},
#define LUTBENCH_NEEDS(name) {SYS_##name, #name, false},
#ifdef SYS_rseq
    LUTBENCH_WITHOUT(rseq)  // glibc then does without restartable sequences in that thread
#endif
#ifdef SYS_clone3
    LUTBENCH_WITHOUT(clone3)  // glibc then uses clone
#endif
#ifdef SYS_faccessat2
    LUTBENCH_WITHOUT(faccessat2)  // glibc then uses faccessat
#endif
#ifdef SYS_openat2
    LUTBENCH_WITHOUT(openat2)  // newer than the kernels that the runtimes are built for
#endif
#ifdef SYS_close_range
    LUTBENCH_WITHOUT(close_range)  // glibc then closes one by one
#endif
#ifdef SYS_statx
    LUTBENCH_WITHOUT(statx)  // glibc then uses newfstatat
#endif
#ifdef SYS_fchmodat2
    LUTBENCH_WITHOUT(fchmodat2)  // newer than the kernels that the runtimes are built for
#endif
    LUTBENCH_WITHOUT(set_robust_list)  // glibc then has no robust mutexes, which nobody here uses
    LUTBENCH_WITHOUT(membarrier)       // kernels may be built without it: who uses it asks first
    LUTBENCH_WITHOUT(getrandom)        // the C++ library then reads /dev/urandom
    LUTBENCH_WITHOUT(copy_file_range)  // newer than Linux 4.4: the C++ library then reads and writes
    LUTBENCH_WITHOUT(mbind)            // kernels may be built without NUMA: memory then lies where it lies
    LUTBENCH_WITHOUT(get_mempolicy)
    LUTBENCH_WITHOUT(set_mempolicy)
    LUTBENCH_WITHOUT(pkey_alloc)       // processors without protection keys answer so
    LUTBENCH_WITHOUT(memfd_create)     // callers then use a file
    LUTBENCH_WITHOUT(perf_event_open)  // kernels may be built without it; nothing here is timed by it
    LUTBENCH_WITHOUT(getcpu)           // the core is then -1 in the records: not known
    LUTBENCH_NEEDS(sched_setaffinity)  // the job would run on other cores than it names
    LUTBENCH_NEEDS(sched_getaffinity)  // nobody could tell
    LUTBENCH_NEEDS(sched_setscheduler)
    LUTBENCH_NEEDS(clock_gettime)  // there would be no times
    LUTBENCH_NEEDS(getrusage)      // a core that was taken away would not be seen
    LUTBENCH_NEEDS(prlimit64) LUTBENCH_NEEDS(sysinfo) LUTBENCH_NEEDS(get_robust_list)
    LUTBENCH_NEEDS(futex) LUTBENCH_NEEDS(mmap) LUTBENCH_NEEDS(mprotect) LUTBENCH_NEEDS(clone) LUTBENCH_NEEDS(openat)
#undef LUTBENCH_WITHOUT
#undef LUTBENCH_NEEDS
};

// The first number of what came with Linux 5.1 and later, the same on every machine: the runtimes run on kernels that
// have none of them.
constexpr long kFirstNewCall = 424;
constexpr std::size_t kMostCalls = 1024;

std::array<std::atomic<bool>, kMostCalls> answered{};

const Call* find(long number) {
  for (const auto& call : kCalls) {
    if (call.number == number) return &call;
  }
  return nullptr;
}

}  // namespace

bool can_do_without(long number) {
  const Call* call = find(number);
  return call ? call->dispensable : number >= kFirstNewCall;
}

const char* call_name(long number) {
  const Call* call = find(number);
  return call ? call->name : nullptr;
}

void note_answered(long number) {
  if (number >= 0 && static_cast<std::size_t>(number) < kMostCalls) answered[static_cast<std::size_t>(number)] = true;
}

std::vector<std::string> answered_calls() {
  std::vector<std::string> names;
  for (std::size_t number = 0; number < kMostCalls; ++number) {
    if (!answered[number]) continue;
    const char* name = call_name(static_cast<long>(number));
    names.push_back(name ? name : std::to_string(number));
  }
  return names;
}

}  // namespace lutbench

#else  // a system that refuses no call

namespace lutbench {

bool can_do_without(long) { return false; }

const char* call_name(long) { return nullptr; }

void note_answered(long) {}

std::vector<std::string> answered_calls() { return {}; }

}  // namespace lutbench

#endif

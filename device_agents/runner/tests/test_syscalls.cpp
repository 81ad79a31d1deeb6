// With real seccomp filters, each in a process of its own: a filter cannot be taken off again.
#include "syscalls.hpp"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>

#include "signals.hpp"

namespace lutbench {
namespace {

// From here on this process's call of that number is answered with SIGSYS, as Android's filter for apps does.
void refuse(long call) {
  sock_filter steps[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                         BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1),
                         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{sizeof steps / sizeof *steps, steps};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) std::exit(90);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) std::exit(91);
}

[[noreturn]] void go_on_without() {
  catch_fatal_signals();
  refuse(SYS_membarrier);
  refuse(SYS_get_mempolicy);
  errno = 0;
  const bool answered = syscall(SYS_membarrier, 0, 0, 0) == -1 && errno == ENOSYS;
  const bool again = syscall(SYS_membarrier, 0, 0, 0) == -1 && syscall(SYS_get_mempolicy, 0, 0, 0, 0, 0) == -1;
  const auto names = answered_calls();
  std::exit(answered && again && names.size() == 2 ? 0 : 1);
}

[[noreturn]] void end_without() {
  catch_fatal_signals();
  refuse(SYS_getrusage);
  syscall(SYS_getrusage, 0, nullptr);
  std::exit(0);
}

TEST(SyscallsDeathTest, ARefusedCallThatIsDispensableReturnsEnosysAndIsNamed) {
  EXPECT_EXIT(go_on_without(), testing::ExitedWithCode(0), "");
}

TEST(SyscallsDeathTest, ARefusedCallThatIsNotEndsTheProcessBySigsys) {
  EXPECT_EXIT(end_without(), testing::KilledBySignal(SIGSYS), "");
}

TEST(Syscalls, WhatIsNewerThanTheRuntimesIsDispensableAndWhatIsNotKnownIsNot) {
  EXPECT_TRUE(can_do_without(424));
  EXPECT_TRUE(can_do_without(1000));
  EXPECT_TRUE(can_do_without(SYS_set_robust_list));
  EXPECT_FALSE(can_do_without(SYS_clock_gettime));
  EXPECT_FALSE(can_do_without(SYS_sched_setaffinity));
  EXPECT_FALSE(can_do_without(SYS_read));
  EXPECT_STREQ(call_name(SYS_futex), "futex");
  EXPECT_EQ(call_name(1000), nullptr);
}

}  // namespace
}  // namespace lutbench

// Handlers use nothing but write(2) and their own stack: malloc or stdio may be in the midst of what crashed.
#include "signals.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "digest.hpp"
#include "platform.hpp"
#include "syscalls.hpp"

#if LUTBENCH_LINUX
#include <ucontext.h>
#endif

#if LUTBENCH_LINUX && !defined(SYS_SECCOMP)
#define SYS_SECCOMP 1
#endif

namespace lutbench {
namespace {

std::atomic<int> output{-1};
std::atomic<const char*> current{""};

const char* signal_name(int number) {
  switch (number) {
    case SIGSEGV: return "SIGSEGV";
    case SIGBUS: return "SIGBUS";
    case SIGILL: return "SIGILL";
    case SIGFPE: return "SIGFPE";
    case SIGABRT: return "SIGABRT";
    case SIGTERM: return "SIGTERM";
    case SIGINT: return "SIGINT";
    default: return "a signal";
  }
}

// A line put together on the stack.
class Line {
 public:
  Line& text(const char* words) {
    while (*words) add(*words++);
    return *this;
  }

  Line& number(long value) {
    std::array<char, 24> digits{};
    std::size_t count = 0;
    auto rest = static_cast<unsigned long>(value < 0 ? 0 : value);
    do digits[count++] = static_cast<char>('0' + rest % 10);
    while (rest /= 10);
    while (count) add(digits[--count]);
    return *this;
  }

  // As the inside of a JSON string. The job's names are valid UTF-8; a long one is cut at a character's start.
  Line& quoted(const char* words) {
    for (std::size_t i = 0; words[i]; ++i) {
      const auto letter = static_cast<unsigned char>(words[i]);
      if (i >= 300 && (letter & 0xc0) != 0x80) break;
      if (letter == '"' || letter == '\\') add('\\');
      if (letter < 32) text("\\u00").hex(letter, 2);
      else add(words[i]);
    }
    return *this;
  }

  void finish(int descriptor) {
    const std::uint32_t sum = crc32(data_.data(), size_);
    text("\t").hex(sum, 8).text("\n");
    [[maybe_unused]] const auto ignored = ::write(descriptor, data_.data(), size_);
  }

 private:
  void add(char letter) {
    if (size_ < data_.size()) data_[size_++] = letter;
  }

  Line& hex(std::uint32_t value, int digits) {
    while (digits--) add("0123456789abcdef"[(value >> (4 * digits)) & 15]);
    return *this;
  }

  std::array<char, 4096> data_{};
  std::size_t size_ = 0;
};

void while_running(Line& line) {
  const char* name = current.load();
  if (*name) line.text(" while running ").quoted(name);
  else line.text(" while no artifact was running");
}

#if LUTBENCH_LINUX
void say_refused(int descriptor, int call) {
  Line line;
  line.text("{\"fatal\":\"the system refuses the call ");
  const char* name = call_name(call);
  if (name) line.text(name).text(" (number ").number(call).text(")");
  else line.text("number ").number(call);
  while_running(line);
  line.text("\",\"syscall\":").number(call);
  if (name) line.text(",\"name\":\"").text(name).text("\"");
  line.text("}").finish(descriptor);
}

#endif

void say_ended(int descriptor, int number) {
  Line line;
  line.text("{\"fatal\":\"").text(signal_name(number));
  while_running(line);
  line.text("\",\"signal\":").number(number);
  if (const char* name = current.load(); *name) line.text(",\"running\":\"").quoted(name).text("\"");
  line.text("}").finish(descriptor);
}

#if LUTBENCH_LINUX
// The refused call returns -ENOSYS where it was made, as on a system that does not have it.
bool answer_without(const siginfo_t& about, void* context) {
  if (!can_do_without(about.si_syscall)) return false;
  auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
  machine.gregs[REG_RAX] = -ENOSYS;
#elif defined(__aarch64__)
  machine.regs[0] = static_cast<std::uint64_t>(-ENOSYS);
#else
  static_cast<void>(machine);
  return false;
#endif
  note_answered(about.si_syscall);
  return true;
}

bool is_refused_call(int number, const siginfo_t& about) { return number == SIGSYS && about.si_code == SYS_SECCOMP; }
#endif

void on_fatal(int number, [[maybe_unused]] siginfo_t* about, [[maybe_unused]] void* context) {
#if LUTBENCH_LINUX
  const bool refused = is_refused_call(number, *about);
  if (refused && answer_without(*about, context)) return;
#endif
  static std::atomic_flag said = ATOMIC_FLAG_INIT;
  const int descriptor = output.load();
  if (descriptor >= 0 && !said.test_and_set()) {
#if LUTBENCH_LINUX
    if (refused) say_refused(descriptor, about->si_syscall);
    else say_ended(descriptor, number);
#else
    say_ended(descriptor, number);
#endif
  }
  signal(number, SIG_DFL);
  raise(number);  // the status still says which signal it was
}

}  // namespace

void catch_fatal_signals() {
  static std::array<char, 1 << 16> stack;  // a stack overflow must not take the handler along
  stack_t alternative{};
  alternative.ss_sp = stack.data();
  alternative.ss_size = stack.size();
  sigaltstack(&alternative, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_fatal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGSYS, SIGTERM, SIGINT}) sigaction(number, &action, nullptr);
#if !defined(LUTBENCH_SANITIZED)  // a sanitizer's own report says more
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) sigaction(number, &action, nullptr);
#endif
}

void set_fatal_output(int descriptor) { output.store(descriptor); }

void set_running(const char* name) { current.store(name, std::memory_order_relaxed); }

const char* running() { return current.load(); }

}  // namespace lutbench

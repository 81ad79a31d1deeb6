// System calls that a filter such as Android's for apps may refuse, and which of them a program can do without.
#pragma once

#include <string>
#include <vector>

namespace lutbench {

// Whether the C library and the runtimes go on where the system says ENOSYS. Safe to call from a signal handler.
bool can_do_without(long call);

// A call's name; nullptr where it is none of the likely ones. Safe to call from a signal handler.
const char* call_name(long call);

// Notes that a call was answered with ENOSYS. Safe to call from a signal handler.
void note_answered(long call);

// Those calls so far in this process, by name or number.
std::vector<std::string> answered_calls();

}  // namespace lutbench

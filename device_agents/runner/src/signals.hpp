// What a process that dies still says: which artifact was running, which system call was refused.
#pragma once

namespace lutbench {

// From here on a signal that ends the process first leaves a `fatal` record, and a system call that is refused with
// SIGSYS returns ENOSYS where the program can do without it. Call it once, at the start.
void catch_fatal_signals();

// Where that record goes; -1: nowhere.
void set_fatal_output(int descriptor);

// The artifact that runs now; "" for none. Keeps the address only, and costs a store.
void set_running(const char* name);
const char* running();

}  // namespace lutbench

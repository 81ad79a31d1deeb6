#pragma once

#include "engine.hpp"

namespace lutbench {

// Takes jobs on a TCP port of this device's own address (127.0.0.1): one connection after the other, one job a line,
// its records in answer. port 0: any free one; the first line on standard output says which. Returns only where the
// port cannot be had, with a message on standard error.
void serve(int port, const EngineTable& table);

}  // namespace lutbench

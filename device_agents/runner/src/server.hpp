#pragma once

#include <string>

#include "engine.hpp"

namespace lutbench {

// Takes jobs on a TCP port of this device's own address (127.0.0.1): one connection after the other, one job a line,
// its records in answer. port 0: any free one; the first line on standard output says which, and the token of this
// start that every job has to bring. The first line that is no job, or whose job cannot be run, ends its connection.
// library: the one that the engine opens; jobs may not name one. Returns only where the port cannot be had, with a
// message on standard error.
void serve(int port, const std::string& library, const EngineTable& table);

}  // namespace lutbench

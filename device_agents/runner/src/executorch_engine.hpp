#pragma once

#include <memory>

#include "engine.hpp"

namespace lutbench {

// ExecuTorch on the CPU, linked in.
std::unique_ptr<Engine> make_executorch_engine(int threads);

}  // namespace lutbench

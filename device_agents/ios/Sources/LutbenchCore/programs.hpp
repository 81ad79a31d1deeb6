// Engines that the program around the core brings, as the core's own are.
#pragma once

#include <memory>

#include "engine.hpp"
#include "lutbench_core.h"

namespace lutbench {

std::unique_ptr<Engine> make_program_engine(const lutbench_engine& engine);

}  // namespace lutbench

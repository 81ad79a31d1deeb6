// Engines that another part of the program brings, in C++, beside those of engines().
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine.hpp"

namespace lutbench {

// To be called before the first session is made: later ones have it, earlier ones do not.
void add_engine(const std::string& name, std::function<std::unique_ptr<Engine>(const Job&)> make);

}  // namespace lutbench

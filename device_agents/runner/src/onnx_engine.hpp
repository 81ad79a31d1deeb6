#pragma once

#include <memory>
#include <string>

#include "engine.hpp"

namespace lutbench {

// ONNX Runtime on the CPU. library: path of libonnxruntime.so, opened here.
std::unique_ptr<Engine> make_onnx_engine(const std::string& library, int threads);

}  // namespace lutbench

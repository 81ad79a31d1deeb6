// ExecuTorch through its Module API, with the libraries of its wheel.
#include "executorch_engine.hpp"

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor_ptr.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/platform/runtime.h>

#include <fstream>
#include <numeric>

// The wheel has the thread pool's library without its header: these are the members that are used here.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  size_t get_thread_count() const;
  bool _unsafe_reset_threadpool(uint32_t count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace lutbench {
namespace {

using executorch::aten::ScalarType;
using executorch::extension::Module;
using executorch::extension::TensorPtr;
using executorch::runtime::Error;
using executorch::runtime::TensorInfo;

void check(Error error, const std::string& what) {
  if (error == Error::Ok) return;
  throw EngineError(what + ": " + executorch::runtime::to_string(error));
}

template <typename T>
T value_of(executorch::runtime::Result<T> result, const std::string& what) {
  check(result.error(), what);
  return std::move(result.get());
}

Dtype dtype_of(ScalarType type) {
  switch (type) {
    case ScalarType::Float: return Dtype::f32;
    case ScalarType::Double: return Dtype::f64;
    case ScalarType::Char: return Dtype::i8;
    case ScalarType::Byte: return Dtype::u8;
    case ScalarType::Int: return Dtype::i32;
    case ScalarType::Long: return Dtype::i64;
    case ScalarType::Bool: return Dtype::boolean;
    default: throw EngineError("a tensor has a type that cannot be bound (number " + std::to_string(int(type)) + ")");
  }
}

// Of a file that the runtime refused: its own errors are numbers.
std::string what_is_at(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char head[8] = {};
  file.read(head, sizeof head);
  const std::string kind(head + 4, 4);
  if (kind.rfind("ET", 0) != 0) return "not an ExecuTorch program";
  return "a program of format " + kind + " that is damaged, or not of this ExecuTorch's version";
}

class ExecuTorchModel : public Model {
 public:
  ExecuTorchModel(const std::string& path, SharedBuffers& shared)
      : module_(std::make_unique<Module>(path, Module::LoadMode::File)) {
    check(module_->load(), what_is_at(path));
    check(module_->load_forward(), "its method forward cannot be loaded");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    // Module::forward makes vectors in every call; the method it runs does not
    method_ = value_of(module_->method("forward"), "its method forward");
#pragma GCC diagnostic pop
    const auto meta = method_->method_meta();
    if (meta.num_inputs() != 1 || meta.num_outputs() != 1) {
      throw EngineError(std::to_string(meta.num_inputs()) + " inputs and " + std::to_string(meta.num_outputs()) +
                        " outputs are not one each");
    }
    bind_input(value_of(meta.input_tensor_meta(0), "its input"), shared);
    bind_output(value_of(meta.output_tensor_meta(0), "its output"));
  }

  void invoke() override {
    const Error error = method_->execute();
    if (error != Error::Ok) check(error, "its run failed");
  }

  std::vector<View> inputs() const override { return {input_}; }

  std::vector<View> outputs() const override {
    const auto& value = method_->get_output(0);
    if (!value.isTensor()) throw EngineError("its output is no tensor");
    const auto& tensor = value.toTensor();
    return {{dtype_of(tensor.scalar_type()), static_cast<std::size_t>(tensor.numel()),
             static_cast<std::byte*>(tensor.mutable_data_ptr())}};
  }

 private:
  void bind_input(const TensorInfo& about, SharedBuffers& shared) {
    const Dtype dtype = dtype_of(about.scalar_type());
    if (dtype != Dtype::f32 && dtype != Dtype::i8) throw EngineError("its input is neither float nor int8");
    if (about.is_memory_planned()) throw EngineError("the program keeps its input in memory of its own");
    const auto sizes = about.sizes();
    const auto order = about.dim_order();
    const auto count = std::accumulate(sizes.begin(), sizes.end(), std::size_t{1}, std::multiplies<>());
    buffers_ = shared.get(dtype, count);
    tensor_ = executorch::extension::make_tensor_ptr({sizes.begin(), sizes.end()}, buffers_->input,
                                                     {order.begin(), order.end()}, {}, about.scalar_type());
    check(method_->set_input(*tensor_, 0), "its input cannot be bound");
    input_ = {dtype, count, buffers_->input};
    copies_.push_back({buffers_->input, buffers_->source, count * width_of(dtype)});
  }

  // Each program's own, as in Python: there the binding lets nobody else give them.
  void bind_output(const TensorInfo& about) {
    if (about.is_memory_planned()) return;
    output_.resize(about.nbytes());
    check(method_->set_output_data_ptr(output_.data(), output_.size(), 0), "its output cannot be bound");
  }

  std::shared_ptr<Buffers> buffers_;
  std::vector<std::byte> output_;
  TensorPtr tensor_;  // the method holds bare addresses into it
  std::unique_ptr<Module> module_;
  executorch::runtime::Method* method_ = nullptr;
  View input_{};
};

class ExecuTorchEngine : public Engine {
 public:
  explicit ExecuTorchEngine(int threads) {
    executorch::runtime::runtime_init();
    // before any program is loaded: with one it crashes
    auto* pool = executorch::extension::threadpool::get_threadpool();
    const auto wanted = static_cast<std::size_t>(threads);
    if (pool && pool->get_thread_count() != wanted) pool->_unsafe_reset_threadpool(static_cast<std::uint32_t>(threads));
    if (!pool || pool->get_thread_count() != wanted) {
      throw EngineError("ExecuTorch does not run " + std::to_string(threads) + " threads");
    }
  }

  std::string runtime() const override { return "executorch " LUTBENCH_EXECUTORCH_VERSION; }

  std::unique_ptr<Model> load(const std::string& path) override {
    return std::make_unique<ExecuTorchModel>(path, buffers_);
  }

 private:
  SharedBuffers buffers_;
};

}  // namespace

std::unique_ptr<Engine> make_executorch_engine(int threads) { return std::make_unique<ExecuTorchEngine>(threads); }

}  // namespace lutbench

// ExecuTorch through its Module API, with the libraries of its wheel.
#include "executorch_engine.hpp"

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor_ptr.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/platform/runtime.h>

#include <cstring>
#include <deque>
#include <fstream>
#include <map>
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
using executorch::runtime::MethodMeta;
using executorch::runtime::TensorInfo;

constexpr std::size_t kAlignment = 64;  // elements: every input of a buffer begins a cache line

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
  // use: of a user's model, or none.
  ExecuTorchModel(const std::string& path, SharedBuffers& shared, const ModelUse* use)
      : module_(std::make_unique<Module>(path, Module::LoadMode::File)) {
    check(module_->load(), what_is_at(path));
    check(module_->load_forward(), "its method forward cannot be loaded");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    // Module::forward makes vectors in every call; the method it runs does not
    method_ = value_of(module_->method("forward"), "its method forward");
#pragma GCC diagnostic pop
    const auto meta = method_->method_meta();
    bind_inputs(meta, shared, use);
    for (std::size_t i = 0; i < meta.num_outputs(); ++i) bind_output(meta, i);
  }

  void invoke() override {
    const Error error = method_->execute();
    if (error != Error::Ok) check(error, "its run failed");
  }

  std::vector<View> inputs() const override { return inputs_; }

  bool is_given(std::size_t index) const override { return own_values_.count(index) != 0; }

  // A program keeps its inputs in memory of its own unless its exporter was told otherwise, and writes over it.
  void take_inputs() override {
    for (const auto index : planned_) check(method_->set_input(*tensors_[index], index), "its input cannot be copied");
  }

  std::vector<View> outputs() const override {
    std::vector<View> views;
    for (std::size_t i = 0; i < method_->outputs_size(); ++i) {
      const auto& value = method_->get_output(i);
      if (!value.isTensor()) throw EngineError("an output is no tensor");
      const auto& tensor = value.toTensor();
      views.push_back({dtype_of(tensor.scalar_type()), static_cast<std::size_t>(tensor.numel()),
                       static_cast<std::byte*>(tensor.mutable_data_ptr())});
    }
    return views;
  }

 private:
  struct Input {
    TensorInfo about;
    std::vector<std::int32_t> shape;
    Dtype dtype;
    std::size_t start;  // elements of its dtype's buffer
    std::size_t count;
  };

  // The inputs lie one behind the other in their dtype's buffer.
  void bind_inputs(const MethodMeta& meta, SharedBuffers& shared, const ModelUse* use) {
    std::vector<Input> inputs;
    std::map<Dtype, std::size_t> ends;
    for (std::size_t i = 0; i < meta.num_inputs(); ++i) {
      const std::string name = "input" + std::to_string(i);
      const auto about = value_of(meta.input_tensor_meta(i), name);
      const Dtype dtype = dtype_of(about.scalar_type());
      const auto shape = shape_of(about, name, use);
      const auto count = std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
      const std::size_t start = ends[dtype];
      ends[dtype] = (start + count + kAlignment - 1) / kAlignment * kAlignment;
      inputs.push_back({about, shape, dtype, start, count});
    }
    for (const auto& [dtype, end] : ends) buffers_[dtype] = shared.get(dtype, end);
    for (std::size_t i = 0; i < inputs.size(); ++i) bind_input(inputs[i], i, use);
  }

  static std::vector<std::int32_t> shape_of(const TensorInfo& about, const std::string& name, const ModelUse* use) {
    for (const auto& input : use ? use->inputs : std::vector<InputUse>{}) {
      if (input.name == name) return {input.shape.begin(), input.shape.end()};
    }
    return {about.sizes().begin(), about.sizes().end()};
  }

  void bind_input(const Input& input, std::size_t index, const ModelUse* use) {
    const auto& buffers = *buffers_.at(input.dtype);
    const std::size_t width = width_of(input.dtype), bytes = input.count * width;
    std::byte* target = buffers.input + input.start * width;
    const std::byte* source = buffers.source + input.start * width;
    for (const auto& given : use ? use->inputs : std::vector<InputUse>{}) {
      if (given.name != "input" + std::to_string(index) || given.values.empty()) continue;
      source = own_values_.emplace(index, read_values(given, bytes)).first->second.data();
    }
    const auto order = input.about.dim_order();
    tensors_.push_back(executorch::extension::make_tensor_ptr(input.shape, target, {order.begin(), order.end()}, {},
                                                              input.about.scalar_type()));
    std::memcpy(target, source, bytes);
    check(method_->set_input(*tensors_.back(), index), "input " + std::to_string(index) + " cannot be bound");
    if (input.about.is_memory_planned()) planned_.push_back(index);
    inputs_.push_back({input.dtype, input.count, target});
    copies_.push_back({target, source, bytes});
  }

  // Each program's own, as in Python: there the binding lets nobody else give them.
  void bind_output(const MethodMeta& meta, std::size_t index) {
    const auto about = value_of(meta.output_tensor_meta(index), "its output");
    if (about.is_memory_planned()) return;
    auto& memory = outputs_.emplace_back(about.nbytes());
    check(method_->set_output_data_ptr(memory.data(), memory.size(), index), "its output cannot be bound");
  }

  std::map<Dtype, std::shared_ptr<Buffers>> buffers_;
  std::map<std::size_t, std::vector<std::byte>> own_values_;  // of inputs whose values were given
  std::deque<std::vector<std::byte>> outputs_;
  std::vector<TensorPtr> tensors_;  // the method holds bare addresses into them
  std::vector<std::size_t> planned_;
  std::unique_ptr<Module> module_;
  executorch::runtime::Method* method_ = nullptr;
  std::vector<View> inputs_;
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
    return std::make_unique<ExecuTorchModel>(path, buffers_, nullptr);
  }

  std::unique_ptr<Model> load_as(const std::string& path, const ModelUse& use) override {
    return std::make_unique<ExecuTorchModel>(path, buffers_, &use);
  }

 private:
  SharedBuffers buffers_;
};

}  // namespace

std::unique_ptr<Engine> make_executorch_engine(int threads) { return std::make_unique<ExecuTorchEngine>(threads); }

}  // namespace lutbench

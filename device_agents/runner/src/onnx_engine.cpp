// ONNX Runtime through its C API. The library is opened at run time, so one runner serves every version that knows
// ORT_API_VERSION of the header beside it.
#include "onnx_engine.hpp"

#if !defined(LUTBENCH_LINKED_ONNX)
#include <dlfcn.h>
#endif
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace lutbench {
namespace {

constexpr std::size_t kAlignment = 64;  // elements: every tensor of a buffer begins a cache line

struct Library {
  const OrtApi* api;
  std::string version;
};

Library library_of(const OrtApiBase* base) {
  const OrtApi* api = base->GetApi(ORT_API_VERSION);
  if (!api) {
    throw EngineError(std::string("ONNX Runtime ") + base->GetVersionString() + " is older than API version " +
                      std::to_string(ORT_API_VERSION));
  }
  return {api, base->GetVersionString()};
}

#if defined(LUTBENCH_LINKED_ONNX)  // an app's runtime is part of it
Library open_library(const std::string& path) {
  if (!path.empty()) throw EngineError("ONNX Runtime is part of this program: no library can be named");
  return library_of(OrtGetApiBase());
}
#else
Library open_library(const std::string& path) {
  // never closed: the runtime's threads and its process-wide state do not survive that
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw EngineError(std::string("ONNX Runtime's library cannot be opened: ") + dlerror());
  using GetBase = const OrtApiBase* (*)();
  auto get_base = reinterpret_cast<GetBase>(dlsym(handle, "OrtGetApiBase"));
  if (!get_base) throw EngineError("not ONNX Runtime's library: " + path);
  return library_of(get_base());
}
#endif

void check(const OrtApi* api, OrtStatus* status) {
  if (!status) return;
  const std::string message = api->GetErrorMessage(status);
  api->ReleaseStatus(status);
  throw EngineError(message);
}

template <typename T>
using Held = std::unique_ptr<T, std::function<void(T*)>>;

// What a function of the API makes: made([&](T** out) { return api->CreateT(..., out); }, api->ReleaseT).
template <typename T, typename Make>
Held<T> made(const OrtApi* api, Make make, void (*release)(T*)) {
  T* object = nullptr;
  check(api, make(&object));
  return Held<T>(object, release);
}

std::optional<Dtype> dtype_of(ONNXTensorElementDataType type) {
  static const std::map<ONNXTensorElementDataType, Dtype> known = {
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, Dtype::f32},  {ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, Dtype::f64},
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, Dtype::f16}, {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, Dtype::u8},
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, Dtype::i8},    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16, Dtype::u16},
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, Dtype::i16},  {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32, Dtype::u32},
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, Dtype::i32},  {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64, Dtype::u64},
      {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, Dtype::i64},  {ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, Dtype::boolean},
  };
  const auto found = known.find(type);
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

// An input or output of a session and its place in its dtype's buffer.
struct Tensor {
  std::string name;
  ONNXTensorElementDataType type;
  Dtype dtype;
  std::vector<std::int64_t> shape;
  bool fixed;             // false: only a run tells the shape
  std::size_t start = 0;  // elements
  std::size_t count = 0;
};

std::size_t elements_of(const std::vector<std::int64_t>& shape) {
  std::size_t count = 1;
  for (const auto size : shape) {
    if (__builtin_mul_overflow(count, static_cast<std::size_t>(size), &count)) {
      throw EngineError("a tensor is larger than memory");
    }
  }
  return count;
}

// The views of the session's outputs after a run, whoever allocated them.
View view_of(const OrtApi* api, OrtValue* value) {
  auto about = made<OrtTensorTypeAndShapeInfo>(
      api, [&](auto** out) { return api->GetTensorTypeAndShape(value, out); }, api->ReleaseTensorTypeAndShapeInfo);
  ONNXTensorElementDataType type{};
  check(api, api->GetTensorElementType(about.get(), &type));
  std::size_t count = 0;
  check(api, api->GetTensorShapeElementCount(about.get(), &count));
  void* data = nullptr;
  check(api, api->GetTensorMutableData(value, &data));
  return {dtype_of(type).value(), count, static_cast<std::byte*>(data)};
}

class OnnxModel : public Model {
 public:
  // use: of a user's model, or none; dimensions: what the runtime is told of its open sizes.
  OnnxModel(const OrtApi* api, const OrtEnv* env, const OrtMemoryInfo* memory, SharedBuffers& shared, int threads,
            const std::string& path, const ModelUse* use, const std::map<std::string, std::int64_t>& dimensions)
      : api_(api), memory_(memory), use_(use) {
    auto options = made<OrtSessionOptions>(
        api, [&](auto** out) { return api->CreateSessionOptions(out); }, api->ReleaseSessionOptions);
    if (threads > 1) {
      check(api, api->DisablePerSessionThreads(options.get()));
    } else {
      check(api, api->SetIntraOpNumThreads(options.get(), 1));
      check(api, api->SetInterOpNumThreads(options.get(), 1));
    }
    check(api, api->SetSessionLogSeverityLevel(options.get(), ORT_LOGGING_LEVEL_ERROR));
    check(api, api->AddSessionConfigEntry(options.get(), "session.use_env_allocators", "1"));
    for (const auto& [name, size] : dimensions) {
      check(api, api->AddFreeDimensionOverrideByName(options.get(), name.c_str(), size));
    }
    session_ = made<OrtSession>(
        api, [&](auto** out) { return api->CreateSession(env, path.c_str(), options.get(), out); },
        api->ReleaseSession);
    binding_ = made<OrtIoBinding>(
        api, [&](auto** out) { return api->CreateIoBinding(session_.get(), out); }, api->ReleaseIoBinding);
    // without them each call makes its own
    run_options_ = made<OrtRunOptions>(
        api, [&](auto** out) { return api->CreateRunOptions(out); }, api->ReleaseRunOptions);
    check(api, api->GetAllocatorWithDefaultOptions(&allocator_));
    bind(shared);
  }

  void invoke() override { check(api_, api_->RunWithBinding(session_.get(), run_options_.get(), binding_.get())); }

  void forget_outputs() override {
    for (const auto& name : unshaped_) check(api_, api_->BindOutputToDevice(binding_.get(), name.c_str(), memory_));
  }

  std::vector<View> inputs() const override { return inputs_; }

  bool is_given(std::size_t index) const override { return given_.count(index) != 0; }

  std::vector<View> outputs() const override {
    std::vector<View> views;
    for (const auto& value : held_outputs()) views.push_back(view_of(api_, value.get()));
    return views;
  }

 private:
  std::vector<Held<OrtValue>> held_outputs() const {
    OrtValue** values = nullptr;
    std::size_t count = 0;
    check(api_, api_->GetBoundOutputValues(binding_.get(), allocator_, &values, &count));
    std::vector<Held<OrtValue>> held;
    for (std::size_t i = 0; i < count; ++i) held.emplace_back(values[i], api_->ReleaseValue);
    check(api_, api_->AllocatorFree(allocator_, static_cast<void*>(values)));
    return held;
  }

  using Count = OrtStatus* (*)(const OrtSession*, std::size_t*);
  using Name = OrtStatus* (*)(const OrtSession*, std::size_t, OrtAllocator*, char**);
  using Type = OrtStatus* (*)(const OrtSession*, std::size_t, OrtTypeInfo**);

  // The session's inputs or outputs, one behind the other in their dtype's buffer.
  std::vector<Tensor> tensors(Count get_count, Name get_name, Type get_type, const ModelUse* use = nullptr) const {
    std::size_t count = 0;
    check(api_, get_count(session_.get(), &count));
    std::vector<Tensor> found;
    std::map<Dtype, std::size_t> ends;
    for (std::size_t i = 0; i < count; ++i) {
      char* name = nullptr;
      check(api_, get_name(session_.get(), i, allocator_, &name));
      Tensor tensor = tensor_of(name, i, get_type);
      check(api_, api_->AllocatorFree(allocator_, name));
      if (use) shape_as(tensor, *use);
      tensor.start = ends[tensor.dtype];
      ends[tensor.dtype] = (tensor.start + tensor.count + kAlignment - 1) / kAlignment * kAlignment;
      found.push_back(std::move(tensor));
    }
    return found;
  }

  Tensor tensor_of(const std::string& name, std::size_t index, Type get_type) const {
    auto info = made<OrtTypeInfo>(
        api_, [&](auto** out) { return get_type(session_.get(), index, out); }, api_->ReleaseTypeInfo);
    const OrtTensorTypeAndShapeInfo* about = nullptr;  // belongs to info
    check(api_, api_->CastTypeInfoToTensorInfo(info.get(), &about));
    if (!about) throw EngineError(name + " is no tensor, and cannot be bound");
    Tensor tensor{name, ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED, Dtype::f32, {}, true};
    check(api_, api_->GetTensorElementType(about, &tensor.type));
    const auto dtype = dtype_of(tensor.type);
    if (!dtype) throw EngineError(name + " has a type that cannot be bound (number " + std::to_string(tensor.type) + ")");
    tensor.dtype = *dtype;
    std::size_t axes = 0;
    check(api_, api_->GetDimensionsCount(about, &axes));
    tensor.shape.resize(axes);
    check(api_, api_->GetDimensions(about, tensor.shape.data(), axes));
    tensor.fixed = std::all_of(tensor.shape.begin(), tensor.shape.end(), [](auto size) { return size >= 0; });
    tensor.count = tensor.fixed ? elements_of(tensor.shape) : 0;
    return tensor;
  }

  static void shape_as(Tensor& tensor, const ModelUse& use) {
    for (const auto& input : use.inputs) {
      if (input.name != tensor.name) continue;
      tensor.shape = input.shape;
      tensor.fixed = true;
      tensor.count = elements_of(tensor.shape);
    }
  }

  // Outputs that a run gives another shape than the model declares are left for each run to allocate.
  void look_at_outputs(std::vector<Tensor>& outputs) {
    for (const auto& tensor : outputs) {
      check(api_, api_->BindOutputToDevice(binding_.get(), tensor.name.c_str(), memory_));
    }
    rewrite_input();
    invoke();
    const auto made_ones = held_outputs();
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      auto& tensor = outputs[i];
      if (tensor.fixed && shape_of(made_ones.at(i).get()) != tensor.shape) {
        tensor.fixed = false;
        tensor.count = 0;
      }
    }
    api_->ClearBoundOutputs(binding_.get());
  }

  std::vector<std::int64_t> shape_of(OrtValue* value) const {
    auto about = made<OrtTensorTypeAndShapeInfo>(
        api_, [&](auto** out) { return api_->GetTensorTypeAndShape(value, out); },
        api_->ReleaseTensorTypeAndShapeInfo);
    std::size_t axes = 0;
    check(api_, api_->GetDimensionsCount(about.get(), &axes));
    std::vector<std::int64_t> shape(axes);
    check(api_, api_->GetDimensions(about.get(), shape.data(), axes));
    return shape;
  }

  void bind(SharedBuffers& shared) {
    const auto inputs =
        tensors(api_->SessionGetInputCount, api_->SessionGetInputName, api_->SessionGetInputTypeInfo, use_);
    auto outputs =
        tensors(api_->SessionGetOutputCount, api_->SessionGetOutputName, api_->SessionGetOutputTypeInfo);
    for (const auto& tensor : inputs) {
      if (!tensor.fixed) throw EngineError("the shape of input " + tensor.name + " is not fixed");
    }
    std::map<Dtype, std::size_t> sizes;
    for (const auto* list : {&inputs, &std::as_const(outputs)}) {
      for (const auto& tensor : *list) {
        sizes[tensor.dtype] = std::max(sizes[tensor.dtype], tensor.start + tensor.count);
      }
    }
    for (const auto& [dtype, size] : sizes) buffers_[dtype] = shared.get(dtype, size);
    for (const auto& tensor : inputs) bind_input(tensor);
    if (use_) look_at_outputs(outputs);
    for (const auto& tensor : outputs) bind_output(tensor);
  }

  OrtValue* value_on(const Tensor& tensor, std::byte* data) {
    values_.push_back(made<OrtValue>(
        api_,
        [&](auto** out) {
          return api_->CreateTensorWithDataAsOrtValue(memory_, data, tensor.count * width_of(tensor.dtype),
                                                      tensor.shape.data(), tensor.shape.size(), tensor.type, out);
        },
        api_->ReleaseValue));
    return values_.back().get();
  }

  void bind_input(const Tensor& tensor) {
    const auto& buffers = *buffers_.at(tensor.dtype);
    const std::size_t width = width_of(tensor.dtype);
    std::byte* target = buffers.input + tensor.start * width;
    check(api_, api_->BindInput(binding_.get(), tensor.name.c_str(), value_on(tensor, target)));
    const std::byte* source = buffers.source + tensor.start * width;
    if (const auto* own = values_of(tensor)) {
      given_.insert(inputs_.size());
      source = own->data();
    }
    copies_.push_back({target, source, tensor.count * width});
    inputs_.push_back({tensor.dtype, tensor.count, target});
  }

  // The values that were given for an input, kept here; none where it has random ones.
  const std::vector<std::byte>* values_of(const Tensor& tensor) {
    if (!use_) return nullptr;
    for (const auto& input : use_->inputs) {
      if (input.name != tensor.name || input.values.empty()) continue;
      auto& own = own_values_.emplace_back(read_values(input, tensor.count * width_of(tensor.dtype)));
      return &own;
    }
    return nullptr;
  }

  // Outputs go where the buffers are; one whose shape only a run tells, where that run allocates it. All have to be
  // bound in the session's order, so that GetBoundOutputValues gives them in it.
  void bind_output(const Tensor& tensor) {
    if (!tensor.fixed) {
      check(api_, api_->BindOutputToDevice(binding_.get(), tensor.name.c_str(), memory_));
      unshaped_.push_back(tensor.name);
      return;
    }
    std::byte* target = buffers_.at(tensor.dtype)->output + tensor.start * width_of(tensor.dtype);
    check(api_, api_->BindOutput(binding_.get(), tensor.name.c_str(), value_on(tensor, target)));
  }

  const OrtApi* api_;
  const OrtMemoryInfo* memory_;
  const ModelUse* use_;  // while the model is loaded
  std::set<std::size_t> given_;                    // inputs whose values were given
  std::deque<std::vector<std::byte>> own_values_;  // theirs
  std::vector<std::string> unshaped_;  // outputs that a run allocates
  OrtAllocator* allocator_ = nullptr;
  std::map<Dtype, std::shared_ptr<Buffers>> buffers_;
  Held<OrtSession> session_;
  std::vector<Held<OrtValue>> values_;
  Held<OrtIoBinding> binding_;
  Held<OrtRunOptions> run_options_;
  std::vector<View> inputs_;
};

// One pool for all sessions. Threads that have nothing to do go on looking for work for a while: with a pool for each
// session those of the one before hold the cores on which the next one's are to run.
Held<OrtEnv> with_one_pool(const OrtApi* api, int threads) {
  auto options = made<OrtThreadingOptions>(
      api, [&](auto** out) { return api->CreateThreadingOptions(out); }, api->ReleaseThreadingOptions);
  check(api, api->SetGlobalIntraOpNumThreads(options.get(), threads));
  check(api, api->SetGlobalInterOpNumThreads(options.get(), 1));
  return made<OrtEnv>(
      api,
      [&](auto** out) {
        return api->CreateEnvWithGlobalThreadPools(ORT_LOGGING_LEVEL_ERROR, "lutbench", options.get(), out);
      },
      api->ReleaseEnv);
}

class OnnxEngine : public Engine {
 public:
  OnnxEngine(const std::string& library, int threads) : library_(open_library(library)), threads_(threads) {
    const OrtApi* api = library_.api;
    env_ = threads > 1 ? with_one_pool(api, threads) : made<OrtEnv>(
        api, [&](auto** out) { return api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "lutbench", out); }, api->ReleaseEnv);
    memory_ = made<OrtMemoryInfo>(
        api, [&](auto** out) { return api->CreateMemoryInfo("Cpu", OrtArenaAllocator, 0, OrtMemTypeDefault, out); },
        api->ReleaseMemoryInfo);
    // all sessions share one arena, so their scratch memory is as warm as a net's own
    check(api, api->CreateAndRegisterAllocator(env_.get(), memory_.get(), nullptr));
  }

  std::string runtime() const override { return "onnxruntime " + library_.version; }

  std::unique_ptr<Model> load(const std::string& path) override {
    return model(path, nullptr, {});
  }

  // With its open sizes told to the runtime, as a user's own session would have it. What the runtime then infers of the
  // model can contradict what the model declares; of such a one only a run tells.
  std::unique_ptr<Model> load_as(const std::string& path, const ModelUse& use) override {
    if (!use.dimensions.empty()) {
      try {
        return model(path, &use, use.dimensions);
      } catch (const EngineError&) {
      }
    }
    return model(path, &use, {});
  }

 private:
  std::unique_ptr<Model> model(const std::string& path, const ModelUse* use,
                               const std::map<std::string, std::int64_t>& dimensions) {
    return std::make_unique<OnnxModel>(library_.api, env_.get(), memory_.get(), buffers_, threads_, path, use,
                                       dimensions);
  }

  Library library_;
  int threads_;
  Held<OrtEnv> env_;
  Held<OrtMemoryInfo> memory_;
  SharedBuffers buffers_;
};

}  // namespace

std::unique_ptr<Engine> make_onnx_engine(const std::string& library, int threads) {
  return std::make_unique<OnnxEngine>(library, threads);
}

}  // namespace lutbench

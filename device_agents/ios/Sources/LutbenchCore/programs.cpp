#include "programs.hpp"

#include <array>
#include <memory>
#include <string>

namespace lutbench {
namespace {

using Why = std::array<char, 300>;

std::string said(const Why& why, const char* otherwise) { return why[0] ? why.data() : otherwise; }

class ProgramModel : public Model {
 public:
  ProgramModel(const lutbench_engine& engine, const std::string& path, SharedBuffers& shared) : engine_(engine) {
    Why why{};
    if (!engine_.load(engine_.context, path.c_str(), &program_, why.data(), why.size())) {
      throw EngineError(said(why, "the engine does not say why it refuses it"));
    }
    owned_.reset(program_.handle);
    dtype_ = program_.is_half ? Dtype::f16 : Dtype::f32;
    values_ = shared.get(dtype_, program_.input_count);
    copies_.push_back({static_cast<std::byte*>(program_.input), values_->source,
                       program_.input_count * width_of(dtype_)});
  }

  void invoke() override {
    if (engine_.run(program_.handle, why_.data(), why_.size())) return;
    throw EngineError(said(why_, "its run failed"));
  }

  std::vector<View> inputs() const override {
    return {{dtype_, program_.input_count, static_cast<std::byte*>(program_.input)}};
  }

  std::vector<View> outputs() const override {
    return {{dtype_, program_.output_count, static_cast<std::byte*>(program_.output)}};
  }

  std::map<std::string, int> units() const override {
    std::map<std::string, int> found;
    if (program_.on_cpu) found["cpu"] = program_.on_cpu;
    if (program_.on_gpu) found["gpu"] = program_.on_gpu;
    if (program_.on_ane) found["ane"] = program_.on_ane;
    return found;
  }

 private:
  lutbench_engine engine_;
  lutbench_program program_{};
  std::unique_ptr<void, void (*)(void*)> owned_{nullptr, engine_.unload};
  Dtype dtype_ = Dtype::f32;
  std::shared_ptr<Buffers> values_;
  Why why_{};
};

class ProgramEngine : public Engine {
 public:
  explicit ProgramEngine(const lutbench_engine& engine) : engine_(engine), runtime_(engine.runtime) {}

  std::string runtime() const override { return runtime_; }

  std::unique_ptr<Model> load(const std::string& path) override {
    return std::make_unique<ProgramModel>(engine_, path, shared_);
  }

  std::unique_ptr<Model> load_as(const std::string&, const ModelUse&) override {
    throw EngineError("this engine runs what lutbench exports, and no models of others");
  }

 private:
  lutbench_engine engine_;
  std::string runtime_;
  SharedBuffers shared_;
};

}  // namespace

std::unique_ptr<Engine> make_program_engine(const lutbench_engine& engine) {
  return std::make_unique<ProgramEngine>(engine);
}

}  // namespace lutbench

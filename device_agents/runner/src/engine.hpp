// Engines: a runtime's artifacts made ready to be invoked with inputs and outputs bound beforehand.
#pragma once

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "job.hpp"
#include "tensor.hpp"

namespace lutbench {

// A runtime that cannot be used, or that refuses an artifact or fails to run it.
struct EngineError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// An artifact ready to run.
class Model {
 public:
  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  // Calls the runtime and nothing else; EngineError where it fails.
  virtual void invoke() = 0;
  // To be called where the inputs' values change: the shape of an output may depend on them.
  virtual void forget_outputs() {}
  // Where the inputs are read from.
  virtual std::vector<View> inputs() const = 0;
  // Whether an input's values were given: a check must not put others in their place.
  virtual bool is_given(std::size_t) const { return false; }
  // What the last invocation computed.
  virtual std::vector<View> outputs() const = 0;

  // Writes every input anew, as the layer before it in a net would.
  void rewrite_input() const {
    for (const auto& copy : copies_) std::memcpy(copy.target, copy.source, copy.bytes);
  }

 protected:
  struct Copy {
    std::byte* target;
    const std::byte* source;
    std::size_t bytes;
  };
  std::vector<Copy> copies_;
};

// One runtime in this process.
class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  virtual std::string runtime() const = 0;  // name and version
  virtual std::unique_ptr<Model> load(const std::string& path) = 0;
  // A user's model; an engine whose programs have their sizes in them takes no others.
  virtual std::unique_ptr<Model> load_as(const std::string& path, const ModelUse& use) {
    for (const auto& input : use.inputs) {
      if (!input.values.empty()) throw EngineError("this runtime's inputs cannot be given values on a phone");
    }
    return load(path);
  }
};

using EngineTable = std::map<std::string, std::function<std::unique_ptr<Engine>(const Job&)>>;

// The engines of this program by name; each program defines its own.
EngineTable engines();

}  // namespace lutbench

// Engines: a runtime's artifacts made ready to be invoked with inputs and outputs bound beforehand.
#pragma once

#include <cstddef>
#include <cstring>
#include <fstream>
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
  // How many of its operations run on which unit (cpu, gpu, ane); none where there is one, or the system does not tell.
  virtual std::map<std::string, int> units() const { return {}; }

  // Writes every input anew, as the layer before it in a net would.
  void rewrite_input() {
    for (const auto& copy : copies_) std::memcpy(copy.target, copy.source, copy.bytes);
    take_inputs();
  }
  // To be called where inputs were written: a runtime may keep them in memory of its own.
  virtual void take_inputs() {}

 protected:
  struct Copy {
    std::byte* target;
    const std::byte* source;
    std::size_t bytes;
  };
  std::vector<Copy> copies_;
};

// The values that were given for an input, which takes so many bytes.
inline std::vector<std::byte> read_values(const InputUse& input, std::size_t bytes) {
  std::ifstream file(input.values, std::ios::binary);
  std::vector<std::byte> values(bytes);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(bytes));
  if (static_cast<std::size_t>(file.gcount()) != bytes || file.peek() != std::ifstream::traits_type::eof()) {
    throw EngineError("the values of input " + input.name + " are not " + std::to_string(bytes) + " bytes");
  }
  return values;
}

// One runtime in this process.
class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  virtual std::string runtime() const = 0;  // name and version
  virtual std::unique_ptr<Model> load(const std::string& path) = 0;
  // A user's model, whose inputs' shapes and values may have been given.
  virtual std::unique_ptr<Model> load_as(const std::string& path, const ModelUse& use) = 0;
};

using EngineTable = std::map<std::string, std::function<std::unique_ptr<Engine>(const Job&)>>;

// The engines of this program by name; each program defines its own.
EngineTable engines();

}  // namespace lutbench

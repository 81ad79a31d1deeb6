// An engine whose artifacts do what their names say, so that the loop around it can be tested.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine.hpp"

namespace lutbench {

using Calls = std::vector<std::string>;

// What `meddles` does at its third invocation.
inline std::function<void()> meddle;

// Its output is its input plus one. `raises` fails at its third invocation.
class FakeModel : public Model {
 public:
  FakeModel(std::string name, Calls& calls) : name_(std::move(name)), calls_(calls) {
    copies_.push_back({values_.data(), source_.data(), source_.size()});
  }

  void invoke() override {
    calls_.push_back(name_);
    if (name_ == "raises" && std::count(calls_.begin(), calls_.end(), name_) == 3) throw EngineError("out\nof luck");
    if (name_ == "meddles" && std::count(calls_.begin(), calls_.end(), name_) == 3) meddle();
    for (std::size_t i = 0; i < values_.size(); ++i) result_[i] = std::byte(int(values_[i]) + 1);
    values_.assign(values_.size(), std::byte{0});  // an input that is not written again is wrong from here on
  }

  std::vector<View> inputs() const override { return {View{Dtype::u8, values_.size(), values_.data()}}; }
  std::vector<View> outputs() const override { return {View{Dtype::u8, result_.size(), result_.data()}}; }

 private:
  std::string name_;
  Calls& calls_;
  std::vector<std::byte> source_ = std::vector<std::byte>(8, std::byte{7});
  mutable std::vector<std::byte> values_ = source_;
  mutable std::vector<std::byte> result_ = source_;
};

// Loads from a file whose content is the artifact's name.
class FakeEngine : public Engine {
 public:
  explicit FakeEngine(Calls& calls) : calls_(calls) {}
  std::string runtime() const override { return "fake 1.0"; }
  std::unique_ptr<Model> load(const std::string& path) override {
    const std::string name = path.substr(path.rfind('/') + 1);
    if (name == "refused") throw EngineError("no such kernel");
    return std::make_unique<FakeModel>(name, calls_);
  }
  std::unique_ptr<Model> load_as(const std::string& path, const ModelUse&) override { return load(path); }

 private:
  Calls& calls_;
};

}  // namespace lutbench

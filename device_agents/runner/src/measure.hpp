// Cycles: artifacts invoked one after the other, with a canary beside every sample. The measuring loop of the host's
// worker (device_agents/host/worker.py), so that a phone's samples mean what the host's do.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine.hpp"
#include "job.hpp"

namespace lutbench {

using Models = std::map<std::string, std::unique_ptr<Model>>;

// samples_ns: per name of the cycle; canary_ns: for each sample the slower of the canary just before and just after.
// clock_ns: what reading the clock takes, already taken off the samples. cores: those that the thread was found on.
struct CycleSamples {
  std::vector<std::vector<std::int64_t>> samples_ns;
  std::vector<std::int64_t> canary_ns;
  std::int64_t clock_ns = 0;
  std::set<int> cores;
};

// Runs cycles one after the other; EngineError (and whatever an engine throws) where an artifact fails.
class Measurement {
 public:
  // canary_every_ns: how long turns may go on without a canary between them.
  Measurement(const Models& models, const std::map<std::string, Canary>& canaries, double patience,
              std::int64_t canary_every_ns = 1'000'000);

  // Waits until the cycle's canary is quiet, but not much longer than patience times the work so far.
  void wait(const Cycle& cycle);
  // The cycle's samples. Call wait for the same cycle before.
  CycleSamples run(const Cycle& cycle);

  std::int64_t runtime_ns() const { return spent_ns_; }  // inside the runtime's own calls

 private:
  struct Step {
    const std::string* name;
    Model* model;
  };

  Step step(const std::string& name) const;
  std::int64_t canary();
  CycleSamples turns(const Cycle& cycle);

  const Models& models_;
  const std::map<std::string, Canary>& canaries_;
  double patience_;
  std::int64_t canary_every_ns_;
  std::string label_;  // of the canary in use
  Step artifact_{};
  std::int64_t invocations_ = 0;
  std::int64_t before_ns_ = 0;  // the last canary
  std::int64_t spent_ns_ = 0;
  double worked_ns_ = 0;
  double waited_ns_ = 0;
};

}  // namespace lutbench

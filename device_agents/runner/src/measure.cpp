#include "measure.hpp"

#include <algorithm>

#include "signals.hpp"
#include "system.hpp"

namespace lutbench {
namespace {

constexpr double kLeastWaitNs = 250e6;  // of a job, however little work it is: a disturbance often lasts that long

}  // namespace

Measurement::Measurement(const Models& models, const std::map<std::string, Canary>& canaries, double patience,
                         std::int64_t canary_every_ns)
    : models_(models), canaries_(canaries), patience_(patience), canary_every_ns_(canary_every_ns) {}

Measurement::Step Measurement::step(const std::string& name) const {
  const auto found = models_.find(name);
  set_running(name.c_str());
  if (found == models_.end()) throw EngineError("it is not loaded");
  return {&found->first, found->second.get()};
}

// The fastest of a canary's invocations.
std::int64_t Measurement::canary() {
  set_running(artifact_.name->c_str());
  std::int64_t fastest = 0;
  for (std::int64_t i = 0; i < invocations_; ++i) {
    const std::int64_t start = now_ns();
    artifact_.model->invoke();
    const std::int64_t duration = now_ns() - start;
    spent_ns_ += duration;
    fastest = fastest ? std::min(fastest, duration) : duration;
  }
  return fastest;
}

void Measurement::wait(const Cycle& cycle) {
  const Canary& wanted = canaries_.at(cycle.canary);
  if (label_ != cycle.canary || !artifact_.model) {
    artifact_ = step(wanted.name);
    invocations_ = wanted.invocations;
    label_ = cycle.canary;
    before_ns_ = canary();
  }
  const std::int64_t started = now_ns();
  const double limit = kLeastWaitNs + patience_ * worked_ns_ - waited_ns_;
  while (wanted.quiet_below_ns && before_ns_ > wanted.quiet_below_ns &&
         static_cast<double>(now_ns() - started) < limit) {
    before_ns_ = canary();
  }
  waited_ns_ += static_cast<double>(now_ns() - started);
}

CycleSamples Measurement::run(const Cycle& cycle) {
  const std::int64_t started = now_ns();
  auto samples = turns(cycle);
  worked_ns_ += static_cast<double>(now_ns() - started);
  return samples;
}

// The canary also runs between two turns wherever canary_every_ns have passed since it last did. It does not see that
// the core was taken away in the midst of a whole net: the reading of a turn in which that happened is raised by the
// time the turn took. All memory is taken before the first turn, but for a core that the thread is moved to.
//
// Reading the clock is a system call on some kernels: two readings with nothing between them, once a turn behind an
// input that has just been written, so that caches are as cold as at a sample. Their median is taken off every sample.
CycleSamples Measurement::turns(const Cycle& cycle) {
  std::vector<Step> steps;
  for (const auto& name : cycle.names) steps.push_back(step(name));
  const auto repeats = static_cast<std::size_t>(cycle.repeats);
  CycleSamples samples{std::vector(steps.size(), std::vector<std::int64_t>(repeats)), {}, 0, {core_now()}};
  samples.canary_ns.reserve(repeats);
  std::vector<std::int64_t> raised(repeats);
  std::vector<std::int64_t> idle(repeats);
  std::int64_t last = now_ns();
  for (std::int64_t turn = 0; turn < cycle.warmup + cycle.repeats; ++turn) {
    const bool timed = turn >= cycle.warmup;
    const auto index = static_cast<std::size_t>(timed ? turn - cycle.warmup : 0);
    const long taken = preemptions();
    const std::int64_t began = now_ns();
    for (std::size_t position = 0; position < steps.size(); ++position) {
      set_running(steps[position].name->c_str());
      Model& model = *steps[position].model;
      model.rewrite_input();
      const std::int64_t start = now_ns();
      model.invoke();
      const std::int64_t duration = now_ns() - start;
      spent_ns_ += duration;
      if (timed) samples.samples_ns[position][index] = duration;
    }
    if (timed) {
      steps[0].model->rewrite_input();
      const std::int64_t start = now_ns();
      idle[index] = now_ns() - start;
      raised[index] = preemptions() > taken ? now_ns() - began : 0;
    }
    samples.cores.insert(core_now());
    if (turn == cycle.warmup + cycle.repeats - 1 || now_ns() - last > canary_every_ns_) {
      const std::int64_t after = canary();
      const std::size_t done = timed ? index + 1 : 0;
      samples.canary_ns.resize(done, std::max(before_ns_, after));
      before_ns_ = after;
      last = now_ns();
    }
  }
  for (std::size_t i = 0; i < repeats; ++i) samples.canary_ns[i] += raised[i];
  std::nth_element(idle.begin(), idle.begin() + static_cast<std::ptrdiff_t>((repeats - 1) / 2), idle.end());
  samples.clock_ns = idle[(repeats - 1) / 2];
  for (auto& own : samples.samples_ns) {
    for (auto& duration : own) duration = std::max<std::int64_t>(1, duration - samples.clock_ns);
  }
  return samples;
}

}  // namespace lutbench

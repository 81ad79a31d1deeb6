#include <gtest/gtest.h>

#include <limits>

#include "fake_engine.hpp"
#include "measure.hpp"
#include "signals.hpp"

namespace lutbench {
namespace {

constexpr auto kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kAlways = -1;

class Measure : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"canary", "a", "b", "raises"}) models_[name] = std::make_unique<FakeModel>(name, calls_);
    canaries_["c"] = {"canary", 2, 0};
  }
  void TearDown() override { set_running(""); }

  CycleSamples samples(Measurement& measurement, const Cycle& cycle) {
    measurement.wait(cycle);
    return measurement.run(cycle);
  }

  Calls without_canary() const {
    Calls others;
    std::copy_if(calls_.begin(), calls_.end(), std::back_inserter(others), [](auto& name) { return name != "canary"; });
    return others;
  }

  Calls calls_;
  Models models_;
  std::map<std::string, Canary> canaries_;
};

TEST_F(Measure, CyclesAlternateAndWarmUpsAreNotSamples) {
  Measurement measurement(models_, canaries_, 0);
  const auto found = samples(measurement, {{"a", "b"}, 1, 3, "c"});
  EXPECT_EQ(without_canary(), (Calls{"a", "b", "a", "b", "a", "b", "a", "b"}));
  ASSERT_EQ(found.samples_ns.size(), 2U);
  std::int64_t total = 0;
  for (const auto& list : found.samples_ns) {
    ASSERT_EQ(list.size(), 3U);
    for (const auto duration : list) total += duration;
  }
  EXPECT_EQ(found.canary_ns.size(), 3U);
  EXPECT_GE(measurement.runtime_ns(), total);
}

// What was spent is as the clock said; samples are that less a reading of the clock each.
TEST_F(Measure, AReadingOfTheClockIsTakenOffEverySample) {
  canaries_["c"] = {"canary", 1, 0};
  Measurement measurement(models_, canaries_, 0);
  const auto found = samples(measurement, {{"a", "b"}, 0, 500, "c"});
  ASSERT_GT(found.clock_ns, 0);
  std::int64_t total = 0;
  for (const auto& list : found.samples_ns) {
    for (const auto duration : list) total += duration + found.clock_ns;
  }
  EXPECT_LE(total, measurement.runtime_ns());
}

// However long a machine that is busy takes for the three turns.
TEST_F(Measure, TheCanaryStandsBeforeAndAfter) {
  Measurement measurement(models_, canaries_, 0, kNever);
  samples(measurement, {{"a"}, 0, 3, "c"});
  samples(measurement, {{"b"}, 0, 3, "c"});
  EXPECT_EQ(calls_, (Calls{"canary", "canary", "a", "a", "a", "canary", "canary", "b", "b", "b", "canary", "canary"}));
}

TEST_F(Measure, TheCanaryStandsBetweenTurnsThatTakeLong) {
  Measurement measurement(models_, canaries_, 0, kAlways);
  EXPECT_EQ(samples(measurement, {{"a"}, 1, 2, "c"}).canary_ns.size(), 2U);
  EXPECT_EQ(calls_,
            (Calls{"canary", "canary", "a", "canary", "canary", "a", "canary", "canary", "a", "canary", "canary"}));
}

TEST_F(Measure, AnotherCanaryIsRunBeforeItsFirstCycle) {
  canaries_["d"] = {"b", 1, 0};
  Measurement measurement(models_, canaries_, 0);
  samples(measurement, {{"a"}, 0, 1, "c"});
  samples(measurement, {{"a"}, 0, 1, "d"});
  EXPECT_EQ(calls_, (Calls{"canary", "canary", "a", "canary", "canary", "b", "a", "b"}));
}

TEST_F(Measure, WaitingForQuietEnds) {
  canaries_["c"].quiet_below_ns = 1;
  Measurement measurement(models_, canaries_, 0);
  EXPECT_EQ(samples(measurement, {{"a"}, 0, 2, "c"}).canary_ns.size(), 2U);
  EXPECT_GT(std::count(calls_.begin(), calls_.end(), "canary"), 10);
}

TEST_F(Measure, WhatRaisesIsTheOneThatRuns) {
  Measurement measurement(models_, canaries_, 0);
  const Cycle cycle{{"a", "raises", "b"}, 1, 3, "c"};
  EXPECT_THROW(samples(measurement, cycle), EngineError);
  EXPECT_STREQ(running(), "raises");
  EXPECT_EQ(samples(measurement, {{"a"}, 0, 2, "c"}).samples_ns[0].size(), 2U);
}

TEST_F(Measure, WhatIsNotLoadedIsAnError) {
  Measurement measurement(models_, canaries_, 0);
  const Cycle cycle{{"a", "absent"}, 1, 3, "c"};
  EXPECT_THROW(samples(measurement, cycle), EngineError);
  EXPECT_STREQ(running(), "absent");
}

}  // namespace
}  // namespace lutbench

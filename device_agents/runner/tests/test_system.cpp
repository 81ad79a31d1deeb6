#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "platform.hpp"
#include "system.hpp"

namespace lutbench {
namespace {

namespace fs = std::filesystem;

class System : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/lutbench-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  fs::path root_;
};

TEST_F(System, ReadsZonesAndFrequenciesAndLeavesOutWhatCannotBeRead) {
  put("class/thermal/thermal_zone0/type", "cpu\n");
  put("class/thermal/thermal_zone0/temp", "35200\n");
  put("class/thermal/thermal_zone1/type", "cpu\n");
  put("class/thermal/thermal_zone1/temp", "-1000\n");
  put("class/thermal/thermal_zone2/type", "odd\n");
  put("class/thermal/thermal_zone2/temp", "N/A\n");
  put("class/thermal/cooling_device0/type", "fan\n");
  put("devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2841600\n");
  put("devices/system/cpu/cpu1/online", "1\n");
  put("devices/system/cpu/cpufreq/policy0/scaling_cur_freq", "1\n");
  StateReader reader(root_);
  const State state = reader.read();
  EXPECT_EQ(state.temperature_mc, (std::map<std::string, std::int64_t>{{"cpu", 35200}, {"cpu/1", -1000}}));
  EXPECT_EQ(state.khz, (std::map<std::string, std::int64_t>{{"0", 2841600}}));
}

TEST_F(System, ReadsNothingWhereThereIsNothing) {
  StateReader reader(root_ / "nowhere");
  EXPECT_TRUE(reader.read().temperature_mc.empty());
}

TEST_F(System, AReadingStandsForAWhile) {
  put("class/thermal/thermal_zone0/temp", "1");
  StateReader reader(root_);
  reader.read();
  put("class/thermal/thermal_zone0/temp", "2");
  EXPECT_EQ(reader.read().temperature_mc.at("thermal_zone0"), 1);
}

#if LUTBENCH_LINUX
TEST(Cores, AreSetAndReadBack) {
  const auto before = cores_now();
  ASSERT_FALSE(before.empty());
  EXPECT_TRUE(stay_on({before.back()}));
  EXPECT_EQ(cores_now(), std::vector<int>{before.back()});
  EXPECT_FALSE(stay_on({1023}));
  EXPECT_TRUE(stay_on(before));
  EXPECT_EQ(cores_now(), before);
}

#else
TEST(Cores, AreNotKnownWhereNobodyMayChoose) {
  EXPECT_TRUE(cores_now().empty());
  EXPECT_FALSE(stay_on({0}));
  EXPECT_EQ(core_now(), -1);
}
#endif

TEST(Clock, GoesOn) {
  const auto first = now_ns();
  EXPECT_GT(first, 0);
  EXPECT_GE(now_ns(), first);
  EXPECT_GE(preemptions(), 0);
}

}  // namespace
}  // namespace lutbench

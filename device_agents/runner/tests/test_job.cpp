#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "job.hpp"

namespace lutbench {
namespace {

using nlohmann::json;

json valid() {
  const std::string sum(64, 'a');
  return {{"job", 1},
          {"nonce", "n"},
          {"engine", "onnx"},
          {"library", "lib.so"},
          {"threads", 2},
          {"cores", {0, 3}},
          {"artifacts", {{{"name", "a"}, {"path", "x/a.onnx"}, {"sha256", sum}},
                         {{"name", "b"}, {"path", "/b"}, {"sha256", sum}}}},
          {"check", true},
          {"cycles", json::array({json::array({json::array({"a", "b"}), 1, 5, "c"})})},
          {"canaries", {{"c", json::array({"a", 3, 1000})}}},
          {"patience", 0.5}};
}

std::string error_of(const std::string& text) {
  try {
    parse_job(text, ".");
  } catch (const JobError& error) {
    return error.what();
  }
  return "";
}

// The error of the valid job with one value in the place of another.
std::string error_with(const char* pointer, const json& value) {
  json job = valid();
  job[json::json_pointer(pointer)] = value;
  return error_of(job.dump());
}

TEST(Job, IsReadAsItIsWritten) {
  const Job job = parse_job(valid().dump(), "/folder");
  EXPECT_EQ(job.nonce, "n");
  EXPECT_EQ(job.engine, "onnx");
  EXPECT_EQ(job.library, "/folder/lib.so");
  EXPECT_EQ(job.threads, 2);
  EXPECT_EQ(*job.cores, (std::vector<int>{0, 3}));
  ASSERT_EQ(job.artifacts.size(), 2U);
  EXPECT_EQ(job.artifacts[0].path, "/folder/x/a.onnx");
  EXPECT_EQ(job.artifacts[1].path, "/b");
  EXPECT_TRUE(job.check);
  ASSERT_EQ(job.cycles.size(), 1U);
  EXPECT_EQ(job.cycles[0].names, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(job.cycles[0].warmup, 1);
  EXPECT_EQ(job.cycles[0].repeats, 5);
  EXPECT_EQ(job.canaries.at("c").name, "a");
  EXPECT_EQ(job.canaries.at("c").quiet_below_ns, 1000);
  EXPECT_EQ(job.patience, 0.5);
}

TEST(Job, WhatMayBeAbsent) {
  json job = valid();
  for (const char* key : {"library", "cores", "check"}) job.erase(key);
  const Job read = parse_job(job.dump(), ".");
  EXPECT_EQ(read.library, "");
  EXPECT_FALSE(read.cores);
  EXPECT_FALSE(read.check);
}

TEST(Job, EveryOtherKeyIsNeeded) {
  for (const char* key : {"job", "nonce", "engine", "threads", "artifacts", "cycles", "canaries", "patience"}) {
    json job = valid();
    job.erase(key);
    EXPECT_NE(error_of(job.dump()).find(std::string("has no \"") + key), std::string::npos) << key;
  }
}

TEST(Job, AnotherVersionIsRefused) { EXPECT_NE(error_with("/job", 2).find("version"), std::string::npos); }

TEST(Job, ErrorsSayWhereTheyAre) {
  EXPECT_EQ(error_with("/cycles/0/2", 0), "cycles[0][2] is not a whole number from 1 to 1000000");
  EXPECT_EQ(error_with("/cycles/0/0", json::array()), "cycles[0][0] is empty");
  EXPECT_EQ(error_with("/cycles/0/3", "d"), "cycles[0] names a canary that canaries has not");
  EXPECT_EQ(error_with("/artifacts/1/name", "a"), "artifacts[1] has the name of another artifact");
  EXPECT_EQ(error_with("/artifacts/1/sha256", "a"), "artifacts[1].sha256 is not 64 hex digits");
  EXPECT_EQ(error_with("/artifacts/1/more", 1), "artifacts[1] has an unknown key, \"more\"");
  EXPECT_EQ(error_with("/canaries/c", json::array({"a", 1})), "canaries[\"c\"] has not 3 elements");
  EXPECT_EQ(error_with("/cores", json::array()), "cores is empty");
  EXPECT_EQ(error_with("/patience", -1), "patience is not a number from 0 to 1000");
}

TEST(Job, NumbersOutOfRangeAreErrorsAndDoNotWrap) {
  for (const json& value : {json(0), json(-1), json(1.5), json(1e300), json("1"), json(true), json(nullptr),
                            json(18446744073709551615ULL), json(9223372036854775807LL)}) {
    EXPECT_NE(error_with("/threads", value), "") << value;
    EXPECT_NE(error_with("/cores/0", value == json(0) ? json(-1) : value), "") << value;
  }
  json job = valid();
  job["cycles"][0][0] = json::array();
  for (int i = 0; i < 20; ++i) job["cycles"][0][0].push_back("a");
  job["cycles"][0][2] = 1000000;
  EXPECT_NE(error_of(job.dump()).find("samples"), std::string::npos);
}

TEST(Job, WhatIsNotJsonIsAnError) {
  for (const char* text : {"", "{", "[]", "1", "nul", "{\"job\":1e999}", "\xff\xfe", "{\"job\":\"\xc3\"}"}) {
    EXPECT_NE(error_of(text), "") << text;
  }
  EXPECT_NE(error_of(std::string(100'000, '[')), "");
}

TEST(Job, EveryValueOfEveryOtherTypeIsAnErrorOrAJob) {
  const json others[] = {json(nullptr), json(-3), json(0.5), json("x"), json::array({1}), json::object({{"k", 1}})};
  const json flat = valid().flatten();
  for (const auto& [pointer, unused] : flat.items()) {
    for (json::json_pointer at(pointer); !at.empty(); at = at.parent_pointer()) {
      for (const auto& other : others) {
        json job = valid();
        job[at] = other;
        try {
          parse_job(job.dump(), ".");
        } catch (const JobError&) {
        }
      }
    }
  }
}

}  // namespace
}  // namespace lutbench

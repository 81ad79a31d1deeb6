#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "digest.hpp"
#include "fake_engine.hpp"
#include "platform.hpp"
#include "session.hpp"

namespace lutbench {
namespace {

using nlohmann::json;

class Sessions : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/lutbench-test-XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  json artifact(const std::string& name) {
    std::ofstream(folder_ + "/" + name) << name;
    return {{"name", name}, {"path", name}, {"sha256", file_sha256(folder_ + "/" + name)}};
  }

  json job(const std::vector<std::string>& names, const json& cycles) {
    json artifacts = json::array();
    for (const auto& name : names) artifacts.push_back(artifact(name));
    return {{"job", 1},       {"nonce", "n1"},         {"engine", "fake"}, {"threads", 1},
            {"cycles", cycles}, {"artifacts", artifacts}, {"patience", 0},   {"canaries", {{"c", json::array({"a", 1, 0})}}}};
  }

  // The records of a job; whether it ran to its end is in done_.
  std::vector<json> records(const std::string& text) {
    const std::string path = folder_ + "/records";
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    RecordWriter out(file);
    done_ = session_->run(text, folder_, out);
    close(file);
    std::ifstream lines(path);
    std::vector<json> found;
    for (std::string line; std::getline(lines, line);) {
      EXPECT_EQ(line_of(json::parse(line.substr(0, line.size() - 9))), line + "\n");
      found.push_back(json::parse(line.substr(0, line.size() - 9)));
    }
    return found;
  }

  EngineTable table() {
    return {{"fake", [this](const Job&) {
               calls_.push_back("engine");
               return std::make_unique<FakeEngine>(calls_);
             }}};
  }

  std::string folder_;
  Calls calls_;
  std::optional<Session> session_{std::in_place, table()};
  bool done_ = false;
};

TEST_F(Sessions, AJobFromItsStartToItsEnd) {
  const auto found = records(job({"a", "b"}, json::array({json::array({json::array({"a", "b"}), 1, 2, "c"})})).dump());
  ASSERT_TRUE(done_);
  ASSERT_EQ(found.size(), 7U);
  EXPECT_EQ(found[0]["start"], "n1");
  EXPECT_EQ(found[0]["runtime"], "fake 1.0");
#if LUTBENCH_LINUX
  EXPECT_FALSE(found[0]["cores"].empty());
#endif
  EXPECT_EQ(found[1], json({{"running", "a"}}));
  EXPECT_EQ(found[2]["loaded"], "a");
  EXPECT_FALSE(found[2].contains("output"));
  EXPECT_EQ(found[5]["cycle"], 0);
  EXPECT_EQ(found[5]["ns"].size(), 2U);
  EXPECT_EQ(found[5]["canary_ns"].size(), 2U);
  EXPECT_TRUE(found[5]["before"].contains("temperature_mc") && found[5]["before"].contains("khz"));
  EXPECT_FALSE(found[5].contains("after"));  // it has not been read anew
  EXPECT_EQ(found[6]["end"], "n1");
  EXPECT_EQ(found[6]["records"], 6);
  EXPECT_GT(found[6]["runtime_ns"], 0);
}

TEST_F(Sessions, AHeldSessionMeasuresNothingAndSaysWhy) {
  const json wanted = job({"a"}, json::array({json::array({json::array({"a"}), 0, 1, "c"})}));
  session_->hold.set("the phone\nis hot");
  const auto found = records(wanted.dump());
  EXPECT_FALSE(done_);
  EXPECT_EQ(found.back(), json({{"fatal", "the phone is hot"}, {"held", true}}));
  EXPECT_EQ(std::count(calls_.begin(), calls_.end(), "a"), 0);
  session_->hold.set("");
  records(wanted.dump());
  EXPECT_TRUE(done_);
}

TEST_F(Sessions, ACycleInWhichTheSessionIsHeldIsNotRecorded) {
  const json cycle = json::array({json::array({"meddles"}), 0, 1, "c"});
  meddle = [this] { session_->hold.set("low-power mode"); };  // the first run, the first cycle, then the second
  const auto found = records(job({"a", "meddles"}, json::array({cycle, cycle, cycle})).dump());
  EXPECT_FALSE(done_);
  ASSERT_EQ(found.size(), 7U);  // start, two artifacts, one cycle
  EXPECT_EQ(found[5]["cycle"], 0);
  EXPECT_EQ(found[6]["held"], true);
}

TEST_F(Sessions, AServersFilesLieInItsFolder) {
  session_.emplace(table(), Terms{"", "", folder_});
  json wanted = job({"a"}, json::array({json::array({json::array({"a"}), 0, 1, "c"})}));
  records(wanted.dump());
  EXPECT_TRUE(done_);
  for (const char* path : {"/etc/passwd", "../a", "x/../../a", "/tmp"}) {
    wanted["artifacts"][0]["path"] = path;
    EXPECT_NE(records(wanted.dump()).back()["fatal"].get<std::string>().find("outside"), std::string::npos) << path;
  }
  wanted["artifacts"][0]["path"] = "x/../a";
  wanted["token"] = "given, though there is none";
  EXPECT_NE(records(wanted.dump()).back()["fatal"].get<std::string>().find("token"), std::string::npos);
  wanted.erase("token");
  records(wanted.dump());
  EXPECT_TRUE(done_);
}

TEST_F(Sessions, ACheckRunsOnTheInputOfTheName) {
  json wanted = job({"a"}, json::array());
  wanted["check"] = true;
  const auto found = records(wanted.dump());
  std::vector<std::byte> input(8);
  write_check_input({Dtype::u8, 8, input.data()}, "a", 0);
  for (auto& value : input) value = std::byte(int(value) + 1);
  EXPECT_EQ(found[2]["output"]["sha256"], checksum_of({View{Dtype::u8, 8, input.data()}}).sha256);
  EXPECT_EQ(found[2]["output"]["sketch"].size(), 4U);
}

TEST_F(Sessions, ARefusedArtifactAndOneThatIsNotThereCostThemselvesOnly) {
  json wanted = job({"a", "refused", "b"}, {json::array({json::array({"b"}), 0, 1, "c"}),
                                            json::array({json::array({"refused"}), 0, 1, "c"})});
  wanted["artifacts"][0]["path"] = "absent";
  const auto found = records(wanted.dump());
  ASSERT_TRUE(done_);
  EXPECT_EQ(found[2]["failed"], "a");
  EXPECT_NE(found[2]["reason"].get<std::string>().find("cannot be opened"), std::string::npos);
  EXPECT_EQ(found[4], json({{"failed", "refused"}, {"reason", "no such kernel"}}));
  EXPECT_EQ(found[6]["loaded"], "b");
  EXPECT_EQ(found[7], json({{"cycle", 0}, {"failed", "a"}, {"reason", "it is not loaded"}}));  // the canary
}

TEST_F(Sessions, AFileThatIsNotTheNamedOneIsNotRun) {
  json wanted = job({"a"}, json::array());
  std::ofstream(folder_ + "/a") << "cut sho";
  const auto found = records(wanted.dump());
  EXPECT_EQ(found[2]["failed"], "a");
  EXPECT_NE(found[2]["reason"].get<std::string>().find("sha256"), std::string::npos);
  EXPECT_EQ(calls_, Calls{"engine"});
}

TEST_F(Sessions, WhatRaisesInACycleCostsThatCycle) {
  const auto found = records(job({"a", "raises"}, {json::array({json::array({"a", "raises"}), 1, 5, "c"}),
                                                   json::array({json::array({"a"}), 0, 2, "c"})})
                                 .dump());
  ASSERT_TRUE(done_);
  EXPECT_EQ(found[5], json({{"cycle", 0}, {"failed", "raises"}, {"reason", "out of luck"}}));
  EXPECT_EQ(found[6]["ns"][0].size(), 2U);
}

TEST_F(Sessions, AJobThatCannotBeRunSaysWhyOnce) {
  json other = job({}, json::array());
  other["engine"] = "abacus";
  for (const std::string& text : {std::string("{"), other.dump()}) {
    const auto found = records(text);
    EXPECT_FALSE(done_);
    ASSERT_EQ(found.size(), 1U);
    EXPECT_TRUE(found[0].contains("fatal"));
  }
  EXPECT_EQ(records(other.dump())[0]["fatal"], "this runner has no engine abacus (it has: fake)");
}

TEST_F(Sessions, WhatTheNextJobNamesAgainIsNotLoadedAgain) {
  const json cycles = json::array({json::array({json::array({"a"}), 0, 1, "c"})});
  records(job({"a", "b"}, cycles).dump());
  calls_.clear();
  const auto found = records(job({"a"}, cycles).dump());
  ASSERT_TRUE(done_);
  EXPECT_EQ(calls_, (Calls{"a", "a", "a"}));  // canary, sample, canary: no engine, and no first run
  ASSERT_EQ(found.size(), 3U);  // start, cycle, end
  EXPECT_EQ(found[1]["cycle"], 0);
}

TEST_F(Sessions, AnArtifactOfAnotherFileOrToBeCheckedIsLoadedAnew) {
  records(job({"a", "b"}, json::array()).dump());
  json other = job({"a", "b"}, json::array());
  std::ofstream(folder_ + "/b") << "other";
  other["artifacts"][1]["sha256"] = file_sha256(folder_ + "/b");
  calls_.clear();
  records(other.dump());
  EXPECT_EQ(calls_, Calls{"b"});
  other["check"] = true;
  calls_.clear();
  EXPECT_TRUE(records(other.dump())[2].contains("output"));
  EXPECT_EQ(calls_, (Calls{"a", "a", "b", "b"}));
}

TEST_F(Sessions, OtherThreadsOrCoresAreAnotherEngine) {
  json wanted = job({"a"}, json::array());
  records(wanted.dump());
  wanted["threads"] = 2;
  calls_.clear();
  records(wanted.dump());
  EXPECT_EQ(calls_, (Calls{"engine", "a"}));
}

TEST_F(Sessions, AnArtifactThatIsNoRegularFileIsNotOpened) {
  json wanted = job({"a"}, json::array());
  wanted["artifacts"][0]["path"] = "/dev/zero";
  EXPECT_EQ(records(wanted.dump())[2]["reason"], "not a regular file: /dev/zero");
}

TEST_F(Sessions, AServersJobsBringItsTokenAndNameNoLibrary) {
  session_.emplace(table(), Terms{"", "secret"});
  json wanted = job({"a"}, json::array());
  for (const char* token : {"", "secre", "secret2", "Secret"}) {
    wanted["token"] = token;
    EXPECT_NE(records(wanted.dump())[0]["fatal"].get<std::string>().find("token"), std::string::npos);
  }
  wanted["token"] = "secret";
  records(wanted.dump());
  EXPECT_TRUE(done_);
  wanted["library"] = "libevil.so";
  EXPECT_NE(records(wanted.dump())[0]["fatal"].get<std::string>().find("library"), std::string::npos);
}

}  // namespace
}  // namespace lutbench

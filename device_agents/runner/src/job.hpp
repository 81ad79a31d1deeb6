// A job: what to load and which cycles to measure. docs/runner.md describes the format.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace lutbench {

// What one input of a user's model is run with.
struct InputUse {
  std::string name;
  std::vector<std::int64_t> shape;
  std::string values;  // a file of raw numbers; empty: random ones
};

// How a user's model is run, which its file leaves open. dimensions: sizes that the runtime is told beforehand.
struct ModelUse {
  std::vector<InputUse> inputs;
  std::map<std::string, std::int64_t> dimensions;
};

struct Artifact {
  std::string name;
  std::string path;
  std::string sha256;
  std::optional<ModelUse> use;  // of a user's model; others have their sizes in the file
};

struct Cycle {
  std::vector<std::string> names;
  std::int64_t warmup = 0;
  std::int64_t repeats = 1;
  std::string canary;
};

struct Canary {
  std::string name;  // of the artifact
  std::int64_t invocations = 1;
  std::int64_t quiet_below_ns = 0;  // 0: there is no reference yet
};

struct Job {
  std::string nonce;
  std::string token;  // a server's
  std::string engine;
  std::string library;  // of ONNX Runtime; empty for an engine that is linked in
  int threads = 1;
  std::optional<std::vector<int>> cores;
  std::vector<Artifact> artifacts;
  bool check = false;
  std::vector<Cycle> cycles;
  std::map<std::string, Canary> canaries;
  double patience = 0.0;
};

// The text is not a job; what() says what is wrong with it.
struct JobError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The job in a text. Relative paths are taken from `folder`.
Job parse_job(const std::string& text, const std::string& folder);

}  // namespace lutbench

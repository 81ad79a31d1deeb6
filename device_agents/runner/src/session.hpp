// What one process keeps from job to job: its engine, and the artifacts that it has loaded.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "engine.hpp"
#include "measure.hpp"
#include "records.hpp"

namespace lutbench {

// What a server holds its jobs to. library: the only one there is, which no job may name; "" for an engine that is
// linked in. token: what every job has to bring.
// root: where all files of a job have to lie, which it then names relative to that; "" for anywhere.
struct Terms {
  std::string library;
  std::string token;
  std::string root = "";
};

// Tells a session, from another thread, that nothing may be measured for a while.
class Hold {
 public:
  void set(const std::string& why);  // "": nothing any more
  bool is_set() const { return is_set_.load(std::memory_order_acquire); }
  std::string why() const;

 private:
  mutable std::mutex mutex_;
  std::string why_;
  std::atomic<bool> is_set_{false};
};

// Runs jobs one after the other. An artifact that the next job names again, by the same file, is not loaded again, and
// has no record of that; an engine is made again where the job asks for another one.
class Session {
 public:
  explicit Session(EngineTable table, std::optional<Terms> terms = std::nullopt);

  // While it is set no cycle is begun, and one in which it was set is not recorded; the job ends, and says so.
  Hold hold;

  // Whether the job ran to its end; where not, a `fatal` record says why. OutputError where records cannot be written.
  bool run(const std::string& text, const std::string& folder, RecordWriter& out);

 private:
  struct Kept {
    std::string path;
    std::string sha256;
    std::uintmax_t bytes;  // of its file
    std::unique_ptr<Model> model;
  };
  using EngineKey = std::tuple<std::string, std::string, int, std::optional<std::vector<int>>>;

  void hold_to_terms(Job& job) const;
  void measured(const Job& job, RecordWriter& out);
  Engine& engine_of(const Job& job);
  void load_all(const Job& job, Engine& engine, RecordWriter& out);
  void load(const Artifact& artifact, bool check, Engine& engine, RecordWriter& out);
  void keep_from_last_job(const Job& job);

  EngineTable table_;
  std::optional<Terms> terms_;
  EngineKey key_;
  std::unique_ptr<Engine> engine_;  // before the models: they go first
  Models models_;                   // of the job that runs
  std::map<std::string, Kept> kept_;  // all that is loaded; of those in models_ without the model itself
};

}  // namespace lutbench

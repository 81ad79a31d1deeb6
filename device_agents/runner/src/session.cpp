#include "session.hpp"

#include <unistd.h>

#include <cstdint>
#include <exception>
#include <filesystem>
#include <new>
#include <nlohmann/json.hpp>
#include <system_error>

#include "digest.hpp"
#include "signals.hpp"
#include "syscalls.hpp"
#include "system.hpp"

namespace lutbench {
namespace {

using nlohmann::json;

constexpr std::uintmax_t kMostKept = 256U << 20U;  // bytes of artifacts' files that stay loaded without being named
constexpr std::uintmax_t kLongestArtifact = 2ULL << 30U;

// What went wrong, of any exception; to be called inside a handler. OutputError passes: there is nobody to tell.
std::string reason() {
  try {
    throw;
  } catch (const OutputError&) {
    throw;
  } catch (const std::bad_alloc&) {
    return "out of memory";
  } catch (const std::exception& error) {
    return one_line(error.what());
  } catch (...) {
    return "the runtime raised something without a message";
  }
}

json checksum_record(const Checksum& sum) {
  return {{"sha256", sum.sha256}, {"mean", sum.mean}, {"rms", sum.rms}, {"size", sum.size}, {"sketch", sum.sketch}};
}

json state_record(const State& state) {
  return {{"at_ms", state.at_ms}, {"temperature_mc", state.temperature_mc}, {"khz", state.khz}};
}

Checksum check_run(Model& model, const std::string& name) {
  const auto inputs = model.inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!model.is_given(i)) write_check_input(inputs[i], name, i);
  }
  model.take_inputs();
  model.forget_outputs();
  model.invoke();
  auto sum = checksum_of(model.outputs());
  model.forget_outputs();
  model.rewrite_input();  // the other artifacts read the same memory
  return sum;
}

// A state as a cycle's record has it: left out where it is the one that a record of this job had last, for it is read
// seldom, and whoever reads the records has to read every byte.
class States {
 public:
  void add(json& record, const char* key, const State& state) {
    if (state.at_ms == told_ms_) return;
    record[key] = state_record(state);
    told_ms_ = state.at_ms;
  }

 private:
  std::int64_t told_ms_ = -1;
};

// Nothing may be measured now; what() says why.
struct HeldError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void raise_if_held(const Hold& hold) {
  if (hold.is_set()) throw HeldError(hold.why());
}

std::int64_t measure(const Job& job, const Models& models, const Hold& hold, RecordWriter& out) {
  Measurement measurement(models, job.canaries, job.patience);
  StateReader system;
  States states;
  for (std::size_t i = 0; i < job.cycles.size(); ++i) {
    raise_if_held(hold);
    try {
      const State before = system.read();
      measurement.wait(job.cycles[i]);
      const auto samples = measurement.run(job.cycles[i]);
      json record = {{"cycle", i},
                     {"ns", samples.samples_ns},
                     {"canary_ns", samples.canary_ns},
                     {"clock_ns", samples.clock_ns},
                     {"cores", samples.cores}};
      states.add(record, "before", before);
      states.add(record, "after", system.read());
      raise_if_held(hold);  // what changed while the cycle ran may have slowed it
      out.write(record);
    } catch (const HeldError&) {
      throw;
    } catch (...) {
      out.write({{"cycle", i}, {"failed", running()}, {"reason", reason()}});
    }
  }
  return measurement.runtime_ns();
}

// Puts the cores back that the thread had: a server's next job begins as its first did.
class Cores {
 public:
  explicit Cores(const Job& job) : before_(cores_now()) {
    if (job.cores) stay_on(*job.cores);  // what became of it is read back, and in the start record
  }
  Cores(const Cores&) = delete;
  Cores& operator=(const Cores&) = delete;
  ~Cores() { stay_on(before_); }

 private:
  std::vector<int> before_;
};

// In a time that does not tell where two texts of one length differ.
bool same_text(const std::string& given, const std::string& wanted) {
  unsigned difference = given.size() == wanted.size() ? 0 : 1;
  for (std::size_t i = 0; i < given.size() && !wanted.empty(); ++i) {
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(wanted[i % wanted.size()]);
  }
  return difference == 0;
}

// The size of a regular file; EngineError for anything else, which a runtime might never come back from.
std::uintmax_t checked_size(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) throw EngineError("cannot be opened: " + path);
  if (!std::filesystem::is_regular_file(path, error)) throw EngineError("not a regular file: " + path);
  const auto size = std::filesystem::file_size(path, error);
  if (error) throw EngineError("cannot be opened: " + path);
  if (size > kLongestArtifact) {
    throw EngineError("the file is longer than " + std::to_string(kLongestArtifact >> 20U) + " MiB: " + path);
  }
  return size;
}

// JobError where a job's path leads out of the folder that a server keeps its files in.
void hold_inside(const std::string& root, const std::string& path) {
  const auto relative = std::filesystem::path(path).lexically_normal().lexically_relative(
      std::filesystem::path(root).lexically_normal());
  if (relative.empty() || *relative.begin() == ".." || relative.is_absolute()) {
    throw JobError("a file outside of the server's folder: " + path);
  }
}

}  // namespace

void Hold::set(const std::string& why) {
  const std::lock_guard lock(mutex_);
  why_ = why;
  is_set_.store(!why.empty(), std::memory_order_release);
}

std::string Hold::why() const {
  const std::lock_guard lock(mutex_);
  return why_;
}

Session::Session(EngineTable table, std::optional<Terms> terms) : table_(std::move(table)), terms_(std::move(terms)) {}

bool Session::run(const std::string& text, const std::string& folder, RecordWriter& out) {
  set_fatal_output(out.descriptor());
  bool done = false;
  try {
    Job job = parse_job(text, folder);
    hold_to_terms(job);
    try {
      measured(job, out);
      done = true;
    } catch (...) {
      set_running("");  // its name goes with the job
      throw;
    }
  } catch (const HeldError& error) {
    out.write({{"fatal", one_line(error.what())}, {"held", true}});
  } catch (...) {
    out.write({{"fatal", reason()}});
  }
  set_fatal_output(-1);
  return done;
}

void Session::hold_to_terms(Job& job) const {
  if (!terms_) return;
  if (!same_text(job.token, terms_->token)) throw JobError("the job has not the token that this server was started with");
  if (!job.library.empty()) throw JobError("a server's library is fixed when it starts: the job may not name one");
  job.library = terms_->library;
  if (terms_->root.empty()) return;
  for (const auto& artifact : job.artifacts) {
    hold_inside(terms_->root, artifact.path);
    if (!artifact.use) continue;
    for (const auto& input : artifact.use->inputs) {
      if (!input.values.empty()) hold_inside(terms_->root, input.values);
    }
  }
}

void Session::measured(const Job& job, RecordWriter& out) {
  const std::int64_t began_ns = now_ns();
  const std::size_t written = out.written();
  const std::vector<int> allowed = cores_now();
  const Cores cores(job);
  Engine& engine = engine_of(job);
  out.write({{"start", job.nonce},
             {"runner", LUTBENCH_RUNNER_VERSION},
             {"runtime", engine.runtime()},
             {"abi", abi()},
             {"pid", getpid()},
             {"cores", cores_now()},
             {"allowed", allowed},
             {"threads", job.threads}});
  load_all(job, engine, out);
  const std::int64_t runtime_ns = measure(job, models_, hold, out);
  set_running("");
  out.write({{"end", job.nonce},
             {"runtime_ns", runtime_ns},
             {"wall_ns", now_ns() - began_ns},
             {"answered", answered_calls()},
             {"records", out.written() - written}});
}

Engine& Session::engine_of(const Job& job) {
  const auto made = table_.find(job.engine);
  if (made == table_.end()) {
    std::string known;
    for (const auto& [name, unused] : table_) known += (known.empty() ? "" : ", ") + name;
    throw JobError("this runner has no engine " + job.engine + " (it has: " + known + ")");
  }
  // threads of a runtime's pool stay where they were started: other cores, another engine
  const EngineKey key{job.engine, job.library, job.threads, job.cores};
  if (!engine_ || key_ != key) {
    models_.clear();
    kept_.clear();
    engine_.reset();
    engine_ = made->second(job);
    key_ = key;
  }
  return *engine_;
}

// Takes the models back from the last job, and lets go of those that this one does not name where they are too many.
void Session::keep_from_last_job(const Job& job) {
  for (auto& [name, model] : models_) kept_.at(name).model = std::move(model);
  models_.clear();
  std::uintmax_t bytes = 0;
  for (const auto& [name, kept] : kept_) bytes += kept.bytes;
  if (bytes <= kMostKept) return;
  std::map<std::string, Kept> named;
  for (const auto& artifact : job.artifacts) {
    if (auto found = kept_.extract(artifact.name)) named.insert(std::move(found));
  }
  kept_ = std::move(named);
}

// Every artifact of the job that the runtime takes.
void Session::load_all(const Job& job, Engine& engine, RecordWriter& out) {
  keep_from_last_job(job);
  for (const auto& artifact : job.artifacts) {
    raise_if_held(hold);
    const auto found = kept_.find(artifact.name);
    const bool same = found != kept_.end() && found->second.model && found->second.path == artifact.path &&
                      found->second.sha256 == artifact.sha256;
    if (same && !job.check && !artifact.use) {  // how a user's model is run may be another in each job
      models_.emplace(artifact.name, std::move(found->second.model));
      continue;
    }
    if (found != kept_.end()) kept_.erase(found);
    out.write({{"running", artifact.name}});
    set_running(artifact.name.c_str());
    try {
      load(artifact, job.check, engine, out);
    } catch (...) {
      out.write({{"failed", artifact.name}, {"reason", reason()}});
    }
  }
}

void Session::load(const Artifact& artifact, bool check, Engine& engine, RecordWriter& out) {
  const auto bytes = checked_size(artifact.path);
  if (file_sha256(artifact.path) != artifact.sha256) throw EngineError("its file is not the one the job names (sha256)");
  auto model = artifact.use ? engine.load_as(artifact.path, *artifact.use) : engine.load(artifact.path);
  model->rewrite_input();
  const std::int64_t start = now_ns();
  model->invoke();  // the first run plans memory; a refusal shows here, not in a cycle
  const std::int64_t first_ns = now_ns() - start;
  json record = {{"loaded", artifact.name}, {"first_ns", first_ns}};
  if (const auto units = model->units(); !units.empty()) record["units"] = units;
  if (check) record["output"] = checksum_record(check_run(*model, artifact.name));
  set_running("");  // what ends the runner from here on is not this artifact's doing
  out.write(record);
  kept_.emplace(artifact.name, Kept{artifact.path, artifact.sha256, bytes, nullptr});
  models_.emplace(artifact.name, std::move(model));
}

}  // namespace lutbench

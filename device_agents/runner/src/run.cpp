#include "run.hpp"

#include <unistd.h>

#include <cstdint>
#include <exception>
#include <nlohmann/json.hpp>
#include <new>

#include "digest.hpp"
#include "measure.hpp"
#include "signals.hpp"
#include "system.hpp"

namespace lutbench {
namespace {

using nlohmann::json;

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
  model.forget_outputs();
  model.invoke();
  auto sum = checksum_of(model.outputs());
  model.forget_outputs();
  model.rewrite_input();  // the other artifacts read the same memory
  return sum;
}

// Every artifact of the job that the runtime takes.
Models load(const Job& job, Engine& engine, RecordWriter& out) {
  Models models;
  for (const auto& artifact : job.artifacts) {
    out.write({{"running", artifact.name}});
    set_running(artifact.name.c_str());
    try {
      if (file_sha256(artifact.path) != artifact.sha256) throw EngineError("its file is not the one the job names (sha256)");
      auto model = artifact.use ? engine.load_as(artifact.path, *artifact.use) : engine.load(artifact.path);
      model->rewrite_input();
      const std::int64_t start = now_ns();
      model->invoke();  // the first run plans memory; a refusal shows here, not in a cycle
      json record = {{"loaded", artifact.name}, {"first_ns", now_ns() - start}};
      if (job.check) record["output"] = checksum_record(check_run(*model, artifact.name));
      set_running("");  // what ends the runner from here on is not this artifact's doing
      out.write(record);
      models.emplace(artifact.name, std::move(model));
    } catch (...) {
      out.write({{"failed", artifact.name}, {"reason", reason()}});
    }
  }
  return models;
}

std::int64_t measure(const Job& job, const Models& models, RecordWriter& out) {
  Measurement measurement(models, job.canaries, job.patience);
  StateReader system;
  for (std::size_t i = 0; i < job.cycles.size(); ++i) {
    try {
      const State before = system.read();
      measurement.wait(job.cycles[i]);
      const auto samples = measurement.run(job.cycles[i]);
      out.write({{"cycle", i},
                 {"ns", samples.samples_ns},
                 {"canary_ns", samples.canary_ns},
                 {"before", state_record(before)},
                 {"after", state_record(system.read())}});
    } catch (...) {
      out.write({{"cycle", i}, {"failed", running()}, {"reason", reason()}});
    }
  }
  return measurement.runtime_ns();
}

std::unique_ptr<Engine> engine_of(const Job& job, const EngineTable& table) {
  const auto made = table.find(job.engine);
  if (made != table.end()) return made->second(job);
  std::string known;
  for (const auto& [name, unused] : table) known += (known.empty() ? "" : ", ") + name;
  throw JobError("this runner has no engine " + job.engine + " (it has: " + known + ")");
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

void run(const Job& job, const EngineTable& table, RecordWriter& out) {
  const std::size_t written = out.written();
  const Cores cores(job);
  const auto engine = engine_of(job, table);
  out.write({{"start", job.nonce},
             {"runner", LUTBENCH_RUNNER_VERSION},
             {"runtime", engine->runtime()},
             {"abi", abi()},
             {"pid", getpid()},
             {"cores", cores_now()},
             {"threads", job.threads}});
  const auto models = load(job, *engine, out);
  const std::int64_t runtime_ns = measure(job, models, out);
  set_running("");
  out.write({{"end", job.nonce}, {"runtime_ns", runtime_ns}, {"records", out.written() - written}});
}

}  // namespace

bool run_job(const std::string& text, const std::string& folder, const EngineTable& table, RecordWriter& out) {
  set_fatal_output(out.descriptor());
  bool done = false;
  try {
    const Job job = parse_job(text, folder);
    try {
      run(job, table, out);
      done = true;
    } catch (...) {
      set_running("");  // its name goes with the job
      throw;
    }
  } catch (...) {
    out.write({{"fatal", reason()}});
  }
  set_fatal_output(-1);
  return done;
}

}  // namespace lutbench

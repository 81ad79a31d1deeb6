#include "job.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <set>

namespace lutbench {
namespace {

using nlohmann::json;

constexpr std::int64_t kFormat = 1;
constexpr std::int64_t kMostThreads = 256;
constexpr std::int64_t kMostCores = 1024;
constexpr std::int64_t kMostInvocations = 1'000'000;  // of one artifact in one cycle
constexpr std::int64_t kMostNs = 1'000'000'000'000;

// Where in the job a value stands, for the error: "cycles[2][1]".
std::string at(const std::string& where, std::size_t index) { return where + "[" + std::to_string(index) + "]"; }

const json& object_of(const json& value, const std::string& where, const std::set<std::string>& known) {
  if (!value.is_object()) throw JobError(where + " is not an object");
  for (const auto& [key, unused] : value.items()) {
    if (!known.count(key)) throw JobError(where + " has an unknown key, \"" + key + "\"");
  }
  return value;
}

const json& member(const json& object, const std::string& where, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) throw JobError(where + " has no \"" + key + "\"");
  return *found;
}

const json& list_of(const json& value, const std::string& where) {
  if (!value.is_array()) throw JobError(where + " is not a list");
  return value;
}

const json& tuple_of(const json& value, const std::string& where, std::size_t size) {
  if (list_of(value, where).size() != size) throw JobError(where + " has not " + std::to_string(size) + " elements");
  return value;
}

std::string text_of(const json& value, const std::string& where) {
  if (!value.is_string()) throw JobError(where + " is not text");
  auto text = value.get<std::string>();
  if (text.find('\0') != std::string::npos) throw JobError(where + " has a zero character in it");
  return text;
}

std::string name_of(const json& value, const std::string& where) {
  auto text = text_of(value, where);
  if (text.empty()) throw JobError(where + " is empty");
  return text;
}

std::int64_t integer_of(const json& value, const std::string& where, std::int64_t least, std::int64_t most) {
  const bool fits = value.is_number_unsigned() ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most)
                                               : value.is_number_integer() && value.get<std::int64_t>() <= most;
  if (!fits || value.get<std::int64_t>() < least) {
    throw JobError(where + " is not a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return value.get<std::int64_t>();
}

std::string path_of(const json& value, const std::string& where, const std::string& folder) {
  auto path = name_of(value, where);
  return path.front() == '/' ? path : folder + "/" + path;
}

std::string sha256_of(const json& value, const std::string& where) {
  auto text = text_of(value, where);
  if (text.size() != 64 || text.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw JobError(where + " is not 64 hex digits");
  }
  return text;
}

std::int64_t size_of(const json& value, const std::string& where) {
  return integer_of(value, where, 0, std::numeric_limits<std::int32_t>::max());
}

ModelUse use_of(const json& value, const std::string& where, const std::string& folder) {
  object_of(value, where, {"inputs", "dimensions"});
  ModelUse use;
  for (const auto& entry : list_of(member(value, where, "inputs"), where + ".inputs")) {
    const auto place = at(where + ".inputs", use.inputs.size());
    object_of(entry, place, {"name", "shape", "values"});
    InputUse input{name_of(member(entry, place, "name"), place + ".name"), {}, ""};
    for (const auto& size : list_of(member(entry, place, "shape"), place + ".shape")) {
      input.shape.push_back(size_of(size, place + ".shape"));
    }
    if (entry.contains("values")) input.values = path_of(entry["values"], place + ".values", folder);
    use.inputs.push_back(std::move(input));
  }
  const auto& dimensions = member(value, where, "dimensions");
  if (!dimensions.is_object()) throw JobError(where + ".dimensions is not an object");
  for (const auto& [name, size] : dimensions.items()) use.dimensions[name] = size_of(size, where + ".dimensions");
  return use;
}

std::vector<Artifact> artifacts_of(const json& value, const std::string& folder) {
  std::vector<Artifact> artifacts;
  std::set<std::string> names;
  for (const auto& entry : list_of(value, "artifacts")) {
    const auto where = at("artifacts", artifacts.size());
    object_of(entry, where, {"name", "path", "sha256", "use"});
    Artifact artifact{name_of(member(entry, where, "name"), where + ".name"),
                      path_of(member(entry, where, "path"), where + ".path", folder),
                      sha256_of(member(entry, where, "sha256"), where + ".sha256"),
                      std::nullopt};
    if (entry.contains("use")) artifact.use = use_of(entry["use"], where + ".use", folder);
    if (!names.insert(artifact.name).second) throw JobError(where + " has the name of another artifact");
    artifacts.push_back(std::move(artifact));
  }
  return artifacts;
}

std::map<std::string, Canary> canaries_of(const json& value) {
  if (!value.is_object()) throw JobError("canaries is not an object");
  std::map<std::string, Canary> canaries;
  for (const auto& [label, entry] : value.items()) {
    const auto where = "canaries[\"" + label + "\"]";
    tuple_of(entry, where, 3);
    canaries[label] = Canary{name_of(entry[0], at(where, 0)), integer_of(entry[1], at(where, 1), 1, kMostInvocations),
                             integer_of(entry[2], at(where, 2), 0, kMostNs)};
  }
  return canaries;
}

Cycle cycle_of(const json& value, const std::string& where) {
  tuple_of(value, where, 4);
  Cycle cycle;
  for (const auto& name : list_of(value[0], at(where, 0))) {
    cycle.names.push_back(name_of(name, at(at(where, 0), cycle.names.size())));
  }
  if (cycle.names.empty()) throw JobError(at(where, 0) + " is empty");
  cycle.warmup = integer_of(value[1], at(where, 1), 0, kMostInvocations);
  cycle.repeats = integer_of(value[2], at(where, 2), 1, kMostInvocations);
  cycle.canary = text_of(value[3], at(where, 3));
  if (static_cast<std::int64_t>(cycle.names.size()) > 10 * kMostInvocations / cycle.repeats) {
    throw JobError(where + " has more than " + std::to_string(10 * kMostInvocations) + " samples");
  }
  return cycle;
}

std::vector<Cycle> cycles_of(const json& value, const std::map<std::string, Canary>& canaries) {
  std::vector<Cycle> cycles;
  for (const auto& entry : list_of(value, "cycles")) {
    const auto where = at("cycles", cycles.size());
    cycles.push_back(cycle_of(entry, where));
    if (!canaries.count(cycles.back().canary)) throw JobError(where + " names a canary that canaries has not");
  }
  return cycles;
}

std::vector<int> cores_of(const json& value) {
  std::vector<int> cores;
  for (const auto& core : list_of(value, "cores")) {
    cores.push_back(static_cast<int>(integer_of(core, at("cores", cores.size()), 0, kMostCores - 1)));
  }
  if (cores.empty()) throw JobError("cores is empty");
  return cores;
}

Job job_of(const json& value, const std::string& folder) {
  if (!value.is_object()) throw JobError("the job is not an object");
  integer_of(member(value, "the job", "job"), "job (the format's version)", kFormat, kFormat);
  object_of(value, "the job",
            {"job", "nonce", "engine", "library", "threads", "cores", "artifacts", "check", "cycles", "canaries",
             "patience", "token"});
  Job job;
  job.nonce = name_of(member(value, "the job", "nonce"), "nonce");
  if (value.contains("token")) job.token = text_of(value["token"], "token");
  job.engine = name_of(member(value, "the job", "engine"), "engine");
  if (value.contains("library")) job.library = path_of(value["library"], "library", folder);
  job.threads = static_cast<int>(integer_of(member(value, "the job", "threads"), "threads", 1, kMostThreads));
  if (value.contains("cores")) job.cores = cores_of(value["cores"]);
  job.artifacts = artifacts_of(member(value, "the job", "artifacts"), folder);
  if (value.contains("check")) {
    if (!value["check"].is_boolean()) throw JobError("check is neither true nor false");
    job.check = value["check"].get<bool>();
  }
  job.canaries = canaries_of(member(value, "the job", "canaries"));
  job.cycles = cycles_of(member(value, "the job", "cycles"), job.canaries);
  const auto& patience = member(value, "the job", "patience");
  if (!patience.is_number() || !(patience.get<double>() >= 0 && patience.get<double>() <= 1000)) {
    throw JobError("patience is not a number from 0 to 1000");
  }
  job.patience = patience.get<double>();
  return job;
}

}  // namespace

Job parse_job(const std::string& text, const std::string& folder) {
  json value;
  try {
    value = json::parse(text);
  } catch (const json::parse_error& error) {
    throw JobError("the job is not JSON (at byte " + std::to_string(error.byte) + ")");
  } catch (const json::exception&) {
    throw JobError("the job is not JSON that can be held (a number out of range)");
  }
  return job_of(value, folder);
}

}  // namespace lutbench

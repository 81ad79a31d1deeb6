// Runs one job from its text to its last record.
#pragma once

#include <string>

#include "engine.hpp"
#include "records.hpp"

namespace lutbench {

// Whether the job ran to its end; where not, a `fatal` record says why. OutputError where records cannot be written.
bool run_job(const std::string& text, const std::string& folder, const EngineTable& table, RecordWriter& out);

}  // namespace lutbench

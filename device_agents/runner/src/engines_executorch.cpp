// The engines of lutbench-runner-executorch.
#include "executorch_engine.hpp"

namespace lutbench {

EngineTable engines() {
  return {{"executorch", [](const Job& job) { return make_executorch_engine(job.threads); }}};
}

}  // namespace lutbench

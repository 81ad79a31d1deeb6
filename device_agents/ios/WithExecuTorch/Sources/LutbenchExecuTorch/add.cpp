#include "added.hpp"
#include "executorch_engine.hpp"
#include "lutbench_executorch.h"

void lutbench_add_executorch(void) {
  lutbench::add_engine(
      "executorch", [](const lutbench::Job& job) { return lutbench::make_executorch_engine(job.threads); });
}

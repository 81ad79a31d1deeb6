// The engines of lutbench-runner.
#include "onnx_engine.hpp"

namespace lutbench {

EngineTable engines() {
  return {{"onnx", [](const Job& job) {
             if (job.library.empty()) throw JobError("the job has no \"library\", and onnx needs one");
             return make_onnx_engine(job.library, job.threads);
           }}};
}

}  // namespace lutbench

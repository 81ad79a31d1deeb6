// The engines of lutbench-runner.
#include "onnx_engine.hpp"

namespace lutbench {

EngineTable engines() {
  return {{"onnx", [](const Job& job) {
#if !defined(LUTBENCH_LINKED_ONNX)
             if (job.library.empty()) throw JobError("the job has no \"library\", and onnx needs one");
#endif
             return make_onnx_engine(job.library, job.threads);
           }}};
}

}  // namespace lutbench

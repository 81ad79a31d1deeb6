// ExecuTorch as one of the core's engines.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// To be called before the first session is made: from then on jobs may name the engine executorch.
void lutbench_add_executorch(void);

#ifdef __cplusplus
}
#endif

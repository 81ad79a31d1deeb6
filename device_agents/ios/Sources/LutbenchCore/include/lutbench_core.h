// The runner's measuring core for an app: jobs and records as docs/reference/runner.md describes them.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lutbench_session lutbench_session;

// What a run came to.
enum { LUTBENCH_DONE = 0, LUTBENCH_FATAL = 1, LUTBENCH_NO_OUTPUT = 2 };

// A program that an engine has made ready: one input and one output of floats, in memory that stays its own and stays
// where it is until it is unloaded.
typedef struct {
  void* handle;      // whatever the engine knows it by
  int is_half;       // numbers of 16 bits; else of 32
  void* input;
  size_t input_count;
  void* output;
  size_t output_count;
  int32_t on_cpu;    // operations that run there; all three 0 where the system does not tell
  int32_t on_gpu;
  int32_t on_ane;
} lutbench_program;

// An engine that the program around the core brings, for what only its own language reaches (Core ML). A function that
// can fail returns 0 and writes why, in one clause, into a text of so many bytes. Called by the job's thread alone.
typedef struct {
  void* context;      // handed back to load; lives as long as the session
  const char* name;   // that jobs ask for: coreml-ane
  const char* runtime;  // name and version, for the record of a job's start
  int (*load)(void* context, const char* path, lutbench_program* program, char* why, size_t size);
  int (*run)(void* handle, char* why, size_t size);
  void (*unload)(void* handle);
} lutbench_engine;

// library: ONNX Runtime's; NULL where it is part of the program. root: where all files of jobs lie. engines: so many
// beside the core's own, copied. NULL where there is no memory.
lutbench_session* lutbench_session_new(
    const char* library, const char* root, const lutbench_engine* engines, size_t engine_count);
void lutbench_session_free(lutbench_session* session);

// Runs a job, whose records go to an open file; returns one of the above. By one thread at a time.
int lutbench_session_run(lutbench_session* session, const char* job, size_t size, int descriptor);

// From any thread: nothing is measured until it is called with NULL. why: one clause, for the record that says so.
void lutbench_session_hold(lutbench_session* session, const char* why);

// The name and version of one of the core's own runtimes (onnx, executorch), into a text of so many bytes; "" where it
// cannot be used, or is not part of this program.
void lutbench_runtime(const char* engine, const char* library, char* text, size_t size);

// A file's SHA-256 in hexadecimal digits; 0 where it cannot be read.
int lutbench_file_sha256(const char* path, char digits[65]);

const char* lutbench_version(void);

// From here on a signal that ends the process leaves a record of what was running.
void lutbench_catch_fatal_signals(void);

#ifdef __cplusplus
}
#endif

// The runner's measuring core for an app: jobs and records as docs/reference/runner.md describes them.
#pragma once

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lutbench_session lutbench_session;

// What a run came to.
enum { LUTBENCH_DONE = 0, LUTBENCH_FATAL = 1, LUTBENCH_NO_OUTPUT = 2 };

// library: ONNX Runtime's; NULL where it is part of the program. root: where all files of jobs lie. NULL where there is
// no memory.
lutbench_session* lutbench_session_new(const char* library, const char* root);
void lutbench_session_free(lutbench_session* session);

// Runs a job, whose records go to an open file; returns one of the above. By one thread at a time.
int lutbench_session_run(lutbench_session* session, const char* job, size_t size, int descriptor);

// From any thread: nothing is measured until it is called with NULL. why: one clause, for the record that says so.
void lutbench_session_hold(lutbench_session* session, const char* why);

// The runtime's name and version, into a text of so many bytes; "" where it cannot be used.
void lutbench_runtime(const char* library, char* text, size_t size);

// A file's SHA-256 in hexadecimal digits; 0 where it cannot be read.
int lutbench_file_sha256(const char* path, char digits[65]);

const char* lutbench_version(void);

// From here on a signal that ends the process leaves a record of what was running.
void lutbench_catch_fatal_signals(void);

#ifdef __cplusplus
}
#endif

// Jobs as files in a folder: one process for all of them.
#pragma once

#include <cstdint>
#include <string>

#include "engine.hpp"

namespace lutbench {

// Takes the jobs FOLDER/1.json, FOLDER/2.json, ... as they appear, and writes the records of each to FOLDER/N.jsonl. A
// job's file is complete once it ends in a line feed, and is removed when the job has ended; the records of the job
// before it go when it begins. Returns where the folder has gone or idle_s have passed without a job. OutputError where
// records cannot be written.
void follow_jobs(const std::string& folder, const EngineTable& table, std::int64_t idle_s);

// Takes jobs on standard input, a line each, and writes their records to standard output. Ends the process as soon as
// the input is closed, in the midst of a job too. OutputError where records cannot be written.
void take_jobs(const EngineTable& table);

// Waits until a job's file is gone, its folder's process (the file pid) has ended, its records (the file beside it) are
// so many bytes (0: however many), or milliseconds have passed.
void await_job(const std::string& file, std::int64_t milliseconds, std::uintmax_t bytes);

// Writes to standard output how a job stands, in a line (GONE DONE STATUS: 1 where its process has ended, 1 where its
// file is gone, the process's exit status or -), and then its records from that byte on. All of a job that is done are
// there. One process and one write: a shell would need several, each of which takes time of what is measured. OutputError
// where they cannot be written.
void print_job(const std::string& file, std::uintmax_t from);

}  // namespace lutbench

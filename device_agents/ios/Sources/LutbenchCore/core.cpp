#include "lutbench_core.h"

#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include "added.hpp"
#include "digest.hpp"
#include "programs.hpp"
#include "records.hpp"
#include "session.hpp"
#include "signals.hpp"

struct lutbench_session {
  std::string root;
  lutbench::Session session;
};

namespace {

std::string text_of(const char* text) { return text ? text : ""; }

void copy(const std::string& text, char* target, size_t size) {
  if (size == 0) return;
  const size_t count = text.size() < size ? text.size() : size - 1;
  std::memcpy(target, text.data(), count);
  target[count] = '\0';
}

lutbench::EngineTable& added_engines() {
  static lutbench::EngineTable table;
  return table;
}

// The core's own, and those that were added.
lutbench::EngineTable engine_table() {
  auto table = lutbench::engines();
  table.insert(added_engines().begin(), added_engines().end());
  return table;
}

}  // namespace

void lutbench::add_engine(const std::string& name, std::function<std::unique_ptr<Engine>(const Job&)> make) {
  added_engines()[name] = std::move(make);
}

lutbench_session* lutbench_session_new(
    const char* library, const char* root, const lutbench_engine* engines, size_t engine_count) try {
  const std::string folder = text_of(root);
  auto table = engine_table();
  for (size_t i = 0; i < engine_count; ++i) {
    const lutbench_engine engine = engines[i];
    table[text_of(engine.name)] = [engine](const lutbench::Job&) { return lutbench::make_program_engine(engine); };
  }
  return new lutbench_session{folder, lutbench::Session(table, lutbench::Terms{text_of(library), "", folder})};
} catch (const std::exception&) {
  return nullptr;
}

void lutbench_session_free(lutbench_session* session) { delete session; }

int lutbench_session_run(lutbench_session* session, const char* job, size_t size, int descriptor) {
  lutbench::RecordWriter out(descriptor);
  try {
    return session->session.run(std::string(job, size), session->root, out) ? LUTBENCH_DONE : LUTBENCH_FATAL;
  } catch (const std::exception&) {  // OutputError: there is nobody left to tell
    return LUTBENCH_NO_OUTPUT;
  }
}

void lutbench_session_hold(lutbench_session* session, const char* why) { session->session.hold.set(text_of(why)); }

void lutbench_runtime(const char* engine, const char* library, char* text, size_t size) {
  std::string found;
  try {
    const auto table = engine_table();
    const auto made = table.find(text_of(engine));
    lutbench::Job job;
    job.library = text_of(library);
    if (made != table.end()) found = made->second(job)->runtime();
  } catch (const std::exception&) {
    found = "";
  }
  copy(found, text, size);
}

int lutbench_file_sha256(const char* path, char digits[65]) try {
  copy(lutbench::file_sha256(path), digits, 65);
  return 1;
} catch (const std::exception&) {
  return 0;
}

const char* lutbench_version(void) { return LUTBENCH_RUNNER_VERSION; }

void lutbench_catch_fatal_signals(void) { lutbench::catch_fatal_signals(); }

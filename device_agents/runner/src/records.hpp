// Records: lines of JSON with a checksum each. docs/runner.md lists them.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>

namespace lutbench {

// The records cannot be written: the disk is full, the reader has gone.
struct OutputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The line of a JSON object: the object, a tab, its CRC-32 in 8 hex digits, a line feed.
std::string line_of(const nlohmann::json& object);

// Writes records to a file or a socket, each in one piece as soon as it is there.
class RecordWriter {
 public:
  explicit RecordWriter(int descriptor) : descriptor_(descriptor) {}

  void write(const nlohmann::json& object);
  std::size_t written() const { return written_; }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
  std::size_t written_ = 0;
};

// One line of a message: no line feeds, not too long.
std::string one_line(const std::string& text);

}  // namespace lutbench

#include "records.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "digest.hpp"

#ifndef MSG_NOSIGNAL  // a system where a socket has an option for that, and where records go to files
#define MSG_NOSIGNAL 0
#endif

namespace lutbench {
namespace {

constexpr std::size_t kLongestReason = 1000;

// A socket whose reader has gone must not end the process with SIGPIPE.
ssize_t put(int descriptor, const char* data, std::size_t size) {
  const ssize_t sent = ::send(descriptor, data, size, MSG_NOSIGNAL);
  return sent < 0 && errno == ENOTSOCK ? ::write(descriptor, data, size) : sent;
}

}  // namespace

std::string line_of(const nlohmann::json& object) {
  // a runtime's message need not be UTF-8; what is not becomes U+FFFD
  std::string line = object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  char sum[16];
  std::snprintf(sum, sizeof sum, "\t%08x\n", crc32(line.data(), line.size()));
  return line + sum;
}

void RecordWriter::write(const nlohmann::json& object) {
  const std::string line = line_of(object);
  std::size_t done = 0;
  while (done < line.size()) {
    const ssize_t count = put(descriptor_, line.data() + done, line.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw OutputError(std::string("a record cannot be written: ") + std::strerror(errno));
    done += static_cast<std::size_t>(count);
  }
  ++written_;
}

std::string one_line(const std::string& text) {
  std::string line;
  for (const char letter : text) {
    const bool blank = std::strchr(" \t\r\n\v\f", letter) != nullptr;
    if (!blank) line += letter;
    else if (!line.empty() && line.back() != ' ') line += ' ';
  }
  if (line.size() > kLongestReason) line.resize(kLongestReason);
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

}  // namespace lutbench

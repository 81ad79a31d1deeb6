#include "server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "run.hpp"

namespace lutbench {
namespace {

constexpr std::size_t kLongestJob = 64U << 20U;

class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// Lines of a connection.
class Lines {
 public:
  explicit Lines(int descriptor) : descriptor_(descriptor) {}

  // The next line; none where the other side has gone, in the midst of a line too, or where it is too long for a job.
  std::optional<std::string> next() {
    std::vector<char> chunk(1 << 16);
    std::size_t searched = 0;
    for (;;) {
      const auto end = pending_.find('\n', searched);
      if (end != std::string::npos) {
        std::string line = pending_.substr(0, end);
        pending_.erase(0, end + 1);
        return line;
      }
      searched = pending_.size();
      const ssize_t count = recv(descriptor_, chunk.data(), chunk.size(), 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0 || pending_.size() > kLongestJob) return std::nullopt;
      pending_.append(chunk.data(), static_cast<std::size_t>(count));
    }
  }

 private:
  int descriptor_;
  std::string pending_;
};

void answer(int descriptor, const EngineTable& table) {
  RecordWriter out(descriptor);
  Lines lines(descriptor);
  try {
    while (const auto line = lines.next()) run_job(*line, ".", table, out);
  } catch (const OutputError&) {
    // the reader has gone: the next connection begins anew
  }
}

bool listen_on(int descriptor, int port) {
  const int on = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(descriptor, 4) != 0 ||
      getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return false;
  }
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return true;
}

}  // namespace

void serve(int port, const EngineTable& table) {
  const Socket listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (listening.get() < 0 || !listen_on(listening.get(), port)) {
    std::fprintf(stderr, "lutbench-runner: cannot listen on port %d: %s\n", port, std::strerror(errno));
    return;
  }
  for (;;) {
    const Socket connection(accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection.get() >= 0) answer(connection.get(), table);
    else if (errno != EINTR && errno != ECONNABORTED) sleep(1);  // out of descriptors or memory: they come back
  }
}

}  // namespace lutbench

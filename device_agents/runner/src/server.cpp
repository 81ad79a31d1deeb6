#include "server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "session.hpp"
#include "system.hpp"

namespace lutbench {
namespace {

constexpr std::size_t kLongestJob = 64U << 20U;
constexpr std::int64_t kLineNs = 30'000'000'000;
constexpr std::int64_t kIdleNs = 60'000'000'000;
constexpr std::chrono::seconds kGoing{1};  // that a client who has just gone may still seem to be there
constexpr time_t kSendS = 30;  // that a client may leave its records unread

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

// Why there is no next line.
enum class Gone { closed, slow, idle, long_line };

// Lines of a connection.
class Lines {
 public:
  explicit Lines(int descriptor) : descriptor_(descriptor) {}

  // The next line, or none and in `gone` why. A line has kLineNs from its first byte on, and kIdleNs to begin.
  std::optional<std::string> next() {
    std::vector<char> chunk(1 << 16);
    std::size_t searched = 0;
    const std::int64_t began = now_ns();
    for (;;) {
      const auto end = pending_.find('\n', searched);
      if (end != std::string::npos) {
        std::string line = pending_.substr(0, end);
        pending_.erase(0, end + 1);
        return line;
      }
      if (pending_.size() > kLongestJob) return ended(Gone::long_line);
      searched = pending_.size();
      const bool waiting = pending_.empty();
      if (!readable(began + (waiting ? kIdleNs : kLineNs))) return ended(waiting ? Gone::idle : Gone::slow);
      const ssize_t count = recv(descriptor_, chunk.data(), chunk.size(), 0);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return ended(Gone::closed);
      pending_.append(chunk.data(), static_cast<std::size_t>(count));
    }
  }

  Gone gone = Gone::closed;

 private:
  std::optional<std::string> ended(Gone why) {
    gone = why;
    return std::nullopt;
  }

  bool readable(std::int64_t until) const {
    for (;;) {
      const std::int64_t left_ms = (until - now_ns()) / 1'000'000;
      pollfd wanted{descriptor_, POLLIN, 0};
      const int found = poll(&wanted, 1, static_cast<int>(left_ms < 0 ? 0 : left_ms));
      if (found >= 0) return found > 0;
      if (errno != EINTR) return false;
    }
  }

  int descriptor_;
  std::string pending_;
};

const char* why(Gone gone) {
  switch (gone) {
    case Gone::slow: return "a job's line did not end within 30 s";
    case Gone::idle: return "no job came within 60 s";
    case Gone::long_line: return "a line is longer than a job may be (64 MiB)";
    case Gone::closed: break;
  }
  return "";
}

void answer(int descriptor, Session& session) {
  RecordWriter out(descriptor);
  Lines lines(descriptor);
  try {
    while (const auto line = lines.next()) {
      if (!session.run(*line, ".", out)) return;
    }
    if (lines.gone != Gone::closed) out.write({{"fatal", why(lines.gone)}});
  } catch (const OutputError&) {
    // the reader has gone, or does not read: the next connection begins anew
  }
}

// A client that comes while another one is served is told so, by a thread that sleeps while nobody comes.
class Clients {
 public:
  explicit Clients(int listening) : listening_(listening) { std::thread([this] { accept_all(); }).detach(); }

  // The next client's connection.
  int next() {
    served_.clear();
    return served_.wait();
  }

 private:
  // One client's descriptor, or -1 while there is none.
  class Slot {
   public:
    void clear() {
      const std::lock_guard lock(mutex_);
      value_ = -1;
      changed_.notify_all();
    }
    bool take(int descriptor) {  // whether there was none, or the one there was has gone meanwhile
      std::unique_lock lock(mutex_);
      if (!changed_.wait_for(lock, kGoing, [this] { return value_ < 0; })) return false;
      value_ = descriptor;
      changed_.notify_all();
      return true;
    }
    int wait() {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return value_ >= 0; });
      return value_;
    }

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int value_ = std::numeric_limits<int>::max();  // until the first call of next(): nobody is there to serve yet
  };

  void accept_all() {
    for (;;) {
      const int descriptor = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
      if (descriptor < 0) {
        if (errno != EINTR && errno != ECONNABORTED) sleep(1);  // out of descriptors or memory: they come back
        continue;
      }
      const timeval limit{kSendS, 0};
      setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      if (!served_.take(descriptor)) refuse(descriptor);
    }
  }

  static void refuse(int descriptor) {
    const Socket connection(descriptor);
    try {
      RecordWriter(descriptor).write({{"fatal", "another client is served: one at a time"}});
    } catch (const OutputError&) {
      // it has gone already
    }
  }

  int listening_;
  Slot served_;
};

std::string new_token() {
  std::ifstream source("/dev/urandom", std::ios::binary);
  char bytes[16];
  if (!source.read(bytes, sizeof bytes)) throw std::runtime_error("/dev/urandom cannot be read");
  std::string token;
  for (const char byte : bytes) {
    token += "0123456789abcdef"[(static_cast<unsigned char>(byte) >> 4) & 15];
    token += "0123456789abcdef"[static_cast<unsigned char>(byte) & 15];
  }
  return token;
}

bool listen_on(int descriptor, int port, const std::string& token) {
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
  std::printf("listening on 127.0.0.1:%d token %s\n", ntohs(address.sin_port), token.c_str());
  std::fflush(stdout);
  return true;
}

}  // namespace

void serve(int port, const std::string& library, const EngineTable& table) {
  const std::string token = new_token();
  const Socket listening(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (listening.get() < 0 || !listen_on(listening.get(), port, token)) {
    std::fprintf(stderr, "lutbench-runner: cannot listen on port %d: %s\n", port, std::strerror(errno));
    return;
  }
  Session session(table, Terms{library, token});
  Clients clients(listening.get());
  for (;;) {
    const Socket connection(clients.next());
    answer(connection.get(), session);
  }
}

}  // namespace lutbench

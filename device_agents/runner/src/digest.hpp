// Sums of bytes and of values: CRC-32 of a record, SHA-256 of a file, an output's checksum.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace lutbench {

// zlib's CRC-32. Safe to call from a signal handler.
std::uint32_t crc32(const char* data, std::size_t size);

class Sha256 {
 public:
  void update(const void* data, std::size_t size);
  std::string hex();  // of all that was given; call it once

 private:
  void block(const std::uint8_t* data);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> pending_{};
  std::uint64_t length_ = 0;
};

// Of a file's bytes; std::runtime_error where it cannot be read.
std::string file_sha256(const std::string& path);

std::uint64_t fnv1a(const std::string& text);

// The sequence splitmix64, from a seed.
class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();

 private:
  std::uint64_t state_;
};

}  // namespace lutbench

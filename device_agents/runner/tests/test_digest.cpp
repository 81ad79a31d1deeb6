#include <gtest/gtest.h>

#include <string>

#include "digest.hpp"

namespace lutbench {

std::string sha256_of(const std::string& text) {
  Sha256 sum;
  sum.update(text.data(), text.size());
  return sum.hex();
}

TEST(Digest, Crc32IsZlibs) {
  EXPECT_EQ(crc32("123456789", 9), 0xcbf43926U);
  EXPECT_EQ(crc32("", 0), 0U);
}

TEST(Digest, Sha256IsTheStandards) {
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Digest, Sha256TakesItsBytesInAnyPieces) {
  const std::string text(200, 'x');
  Sha256 sum;
  for (const char letter : text) sum.update(&letter, 1);
  EXPECT_EQ(sum.hex(), sha256_of(text));
}

TEST(Digest, AFileThatIsNotThereIsAnError) {
  EXPECT_THROW(file_sha256("/nonexistent/file"), std::runtime_error);
  EXPECT_EQ(file_sha256("/dev/null"), sha256_of(""));
}

TEST(Digest, FnvAndSplitMixAreThePublishedOnes) {
  EXPECT_EQ(fnv1a(""), 0xcbf29ce484222325ULL);
  EXPECT_EQ(fnv1a("a"), 0xaf63dc4c8601ec8cULL);
  SplitMix random(0);
  EXPECT_EQ(random.next(), 0xe220a8397b1dcdafULL);
  EXPECT_EQ(random.next(), 0x6e789e6aa1b965f4ULL);
}

}  // namespace lutbench

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>

#include "records.hpp"

namespace lutbench {

TEST(Records, ALineIsItsObjectATabAndItsChecksum) {
  EXPECT_EQ(line_of({{"end", "n"}}), "{\"end\":\"n\"}\t31c16706\n");
}

TEST(Records, TextThatIsNotUtf8IsWrittenAllTheSame) {
  EXPECT_EQ(line_of({{"x", "\xff"}}).substr(0, 11), "{\"x\":\"\xef\xbf\xbd\"}");
}

TEST(Records, AReaderThatHasGoneIsAnErrorAndNoSignal) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  RecordWriter out(ends[0]);
  out.write({{"a", 1}});
  EXPECT_EQ(out.written(), 1U);
  close(ends[1]);
  EXPECT_THROW(out.write({{"a", 1}}), OutputError);
  close(ends[0]);
}

TEST(Records, AFullDiskIsAnError) {
  const int full = open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  RecordWriter out(full);
  EXPECT_THROW(out.write({{"a", 1}}), OutputError);
  close(full);
}

TEST(Records, AMessageIsOneShortLine) {
  EXPECT_EQ(one_line("  a\n\n b\t c "), "a b c");
  EXPECT_EQ(one_line(std::string(5000, 'x')).size(), 1000U);
}

}  // namespace lutbench

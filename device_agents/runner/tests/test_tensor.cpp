#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include "tensor.hpp"

namespace lutbench {
namespace {

constexpr Dtype kAll[] = {Dtype::f32, Dtype::f64, Dtype::f16, Dtype::u8,  Dtype::i8,  Dtype::u16,
                          Dtype::i16, Dtype::u32, Dtype::i32, Dtype::u64, Dtype::i64, Dtype::boolean};

template <typename T>
View view_on(std::vector<T>& values, Dtype dtype) {
  return {dtype, values.size(), reinterpret_cast<std::byte*>(values.data())};
}

TEST(Tensor, BuffersAreSharedUntilTheyAreTooSmall) {
  SharedBuffers shared;
  const auto first = shared.get(Dtype::i64, 10);
  EXPECT_EQ(shared.get(Dtype::i64, 5), first);
  const auto larger = shared.get(Dtype::i64, 11);
  EXPECT_NE(larger, first);
  EXPECT_EQ(shared.get(Dtype::i64, 1), larger);
  EXPECT_NE(shared.get(Dtype::u64, 1), larger);
}

TEST(Tensor, BuffersOfEveryDtypeHoldFiniteValuesThatAreNotAllEqual) {
  for (const Dtype dtype : kAll) {
    const Buffers buffers(dtype, 1000);
    const auto sum = checksum_of({View{dtype, 1000, buffers.input}});
    EXPECT_EQ(sum.size, 1000U);
    EXPECT_TRUE(std::isfinite(sum.mean) && std::isfinite(sum.rms));
    EXPECT_GT(sum.rms, std::abs(sum.mean) + 1e-6);
    EXPECT_EQ(std::memcmp(buffers.source, buffers.input, 1000 * width_of(dtype)), 0);
  }
}

TEST(Tensor, ATensorLargerThanMemoryIsNoOverflow) { EXPECT_THROW(Buffers(Dtype::f64, SIZE_MAX / 8), std::bad_alloc); }

TEST(Tensor, TheCheckInputIsDecidedByNameAndIndex) {
  std::vector<std::uint8_t> a(64), b(64), c(64);
  write_check_input(view_on(a, Dtype::u8), "op", 0);
  write_check_input(view_on(b, Dtype::u8), "op", 0);
  write_check_input(view_on(c, Dtype::u8), "op", 1);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
  EXPECT_EQ(std::vector<std::uint8_t>(a.begin(), a.begin() + 4), (std::vector<std::uint8_t>{156, 31, 0, 198}));  // as in Python
  std::vector<float> real(64);
  write_check_input(view_on(real, Dtype::f32), "op", 0);
  for (std::size_t i = 0; i < real.size(); ++i) EXPECT_EQ(real[i], static_cast<float>(a[i]) / 255.0F);
  std::vector<std::int64_t> wide(64);
  write_check_input(view_on(wide, Dtype::i64), "op", 0);
  EXPECT_EQ(std::set<std::int64_t>(wide.begin(), wide.end()), (std::set<std::int64_t>{0, 1}));
}

TEST(Tensor, ChecksumOfKnownValues) {
  std::vector<std::int8_t> values{-1, 2, -3, 4};
  const auto sum = checksum_of({view_on(values, Dtype::i8)});
  EXPECT_EQ(sum.size, 4U);
  EXPECT_DOUBLE_EQ(sum.mean, 0.5);
  EXPECT_DOUBLE_EQ(sum.rms, std::sqrt(30.0 / 4));
  ASSERT_EQ(sum.sketch.size(), 4U);
  EXPECT_EQ(sum.sha256, "d353d8be92bd415c8b236ee2fb82e05cdc2da6c7ee89acbedb3ada5e3ec5d0b1");
  const double sketch[] = {4.0, 2.0, -2.0, 0.0};  // as device_agents/runner/checksum.py has it
  for (std::size_t k = 0; k < 4; ++k) EXPECT_DOUBLE_EQ(sum.sketch[k], sketch[k]);
}

TEST(Tensor, RoundingMovesASketchLittleAndAnotherOutputFar) {
  std::vector<std::uint8_t> values(10'000);
  write_check_input(view_on(values, Dtype::u8), "x", 0);
  auto rounded = values;
  for (std::size_t i = 0; i < rounded.size(); i += 7) rounded[i] ^= 1;
  auto turned = values;
  std::reverse(turned.begin(), turned.end());
  const auto sum = checksum_of({view_on(values, Dtype::u8)});
  const auto near = checksum_of({view_on(rounded, Dtype::u8)});
  const auto far = checksum_of({view_on(turned, Dtype::u8)});
  EXPECT_DOUBLE_EQ(far.mean, sum.mean);
  double moved = 0;
  for (std::size_t k = 0; k < 4; ++k) {
    EXPECT_LT(std::abs(near.sketch[k] - sum.sketch[k]), 2);
    moved = std::max(moved, std::abs(far.sketch[k] - sum.sketch[k]));
  }
  EXPECT_GT(moved, 20);
}

TEST(Tensor, HalvesAreReadAsTheyAre) {
  std::vector<std::uint16_t> values{0x3c00, 0xc000, 0x0001, 0x7bff};  // 1, -2, 2^-24, 65504
  EXPECT_DOUBLE_EQ(checksum_of({view_on(values, Dtype::f16)}).mean, (1 - 2 + std::ldexp(1, -24) + 65504) / 4);
}

}  // namespace
}  // namespace lutbench

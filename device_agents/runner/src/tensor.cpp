#include "tensor.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <stdexcept>

#include "digest.hpp"

namespace lutbench {
namespace {

constexpr std::size_t kLeastCount = 1 << 22;  // of the dtypes that exported operators and nets take
constexpr std::size_t kAlignment = 4096;
constexpr std::uint64_t kSketchSeed = 1;
constexpr std::size_t kSketches = 4;

std::size_t padded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

double half_value(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int fraction = bits & 1023;
  const double sign = (bits & 0x8000) ? -1.0 : 1.0;
  if (exponent == 31) return fraction ? std::nan("") : sign * INFINITY;
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

template <typename T>
double value_as(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return static_cast<double>(value);
}

double value_at(const View& view, std::size_t index) {
  const std::byte* at = view.data + index * width_of(view.dtype);
  switch (view.dtype) {
    case Dtype::f32: return value_as<float>(at);
    case Dtype::f64: return value_as<double>(at);
    case Dtype::f16: return half_value(static_cast<std::uint16_t>(value_as<std::uint16_t>(at)));
    case Dtype::u8: case Dtype::boolean: return value_as<std::uint8_t>(at);
    case Dtype::i8: return value_as<std::int8_t>(at);
    case Dtype::u16: return value_as<std::uint16_t>(at);
    case Dtype::i16: return value_as<std::int16_t>(at);
    case Dtype::u32: return value_as<std::uint32_t>(at);
    case Dtype::i32: return value_as<std::int32_t>(at);
    case Dtype::u64: return value_as<std::uint64_t>(at);
    case Dtype::i64: return value_as<std::int64_t>(at);
  }
  throw std::logic_error("a dtype without values");
}

template <typename T>
void put(std::byte* data, std::size_t index, T value) {
  std::memcpy(data + index * sizeof value, &value, sizeof value);
}

std::uint16_t half_of(float value) {  // of 0 to 65504; what would be a denormal half becomes 0
  if (value < 0x1p-14F) return 0;
  int exponent = 0;
  const float fraction = std::frexp(value, &exponent);  // 0.5 <= fraction < 1
  return static_cast<std::uint16_t>(((exponent + 14) << 10) + std::lrintf((fraction * 2 - 1) * 1024));
}

// Any byte, floats by `real`, and 0 or 1 for wider integers and bools: those are indices and masks more often than
// quantities, and 0 and 1 are in the range of every index.
template <typename Bytes, typename Real>
void fill(const View& view, Bytes byte, Real real) {
  for (std::size_t i = 0; i < view.count; ++i) {
    switch (view.dtype) {
      case Dtype::f32: put(view.data, i, static_cast<float>(real())); break;
      case Dtype::f64: put(view.data, i, static_cast<double>(real())); break;
      case Dtype::f16: put(view.data, i, half_of(std::abs(static_cast<float>(real())))); break;
      case Dtype::u8: case Dtype::i8: put(view.data, i, static_cast<std::uint8_t>(byte())); break;
      case Dtype::boolean: put(view.data, i, static_cast<std::uint8_t>(byte() & 1)); break;
      case Dtype::u16: case Dtype::i16: put(view.data, i, static_cast<std::uint16_t>(byte() & 1)); break;
      case Dtype::u32: case Dtype::i32: put(view.data, i, static_cast<std::uint32_t>(byte() & 1)); break;
      case Dtype::u64: case Dtype::i64: put(view.data, i, static_cast<std::uint64_t>(byte() & 1)); break;
    }
  }
}

}  // namespace

std::size_t width_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::u8: case Dtype::i8: case Dtype::boolean: return 1;
    case Dtype::f16: case Dtype::u16: case Dtype::i16: return 2;
    case Dtype::f32: case Dtype::u32: case Dtype::i32: return 4;
    case Dtype::f64: case Dtype::u64: case Dtype::i64: return 8;
  }
  throw std::logic_error("a dtype without a width");
}

void Buffers::Free::operator()(void* memory) const { std::free(memory); }

Buffers::Buffers(Dtype dtype, std::size_t wanted) : count(wanted) {
  if (wanted > SIZE_MAX / 32) throw std::bad_alloc();
  const std::size_t bytes = padded(std::max<std::size_t>(1, wanted * width_of(dtype)));
  void* memory = nullptr;  // not aligned_alloc: Android has that from version 9 on
  if (posix_memalign(&memory, kAlignment, 3 * bytes) != 0) throw std::bad_alloc();
  memory_.reset(static_cast<std::byte*>(memory));
  source = memory_.get();
  input = source + bytes;
  output = input + bytes;
  std::mt19937_64 random(0);
  std::normal_distribution<double> normal;
  fill(View{dtype, wanted, source}, [&] { return random() >> 56; }, [&] { return normal(random); });
  std::memcpy(input, source, bytes);
  std::memset(output, 0, bytes);
}

std::shared_ptr<Buffers> SharedBuffers::get(Dtype dtype, std::size_t count) {
  auto& current = held_[dtype];
  if (!current || current->count < count) {
    const bool usual = dtype == Dtype::u8 || dtype == Dtype::i8 || dtype == Dtype::f32;
    current = std::make_shared<Buffers>(dtype, usual ? std::max(count, kLeastCount) : count);
  }
  return current;
}

void write_check_input(const View& input, const std::string& name, std::size_t index) {
  SplitMix random(fnv1a(name + "/" + std::to_string(index)));
  const auto byte = [&] { return random.next() & 255; };
  fill(input, byte, [&] { return static_cast<float>(byte()) / 255.0F; });
}

Checksum checksum_of(const std::vector<View>& outputs) {
  Checksum sum;
  Sha256 bytes;
  SplitMix signs(kSketchSeed);
  double total = 0;
  double squares = 0;
  std::array<double, kSketches> sketch{};
  for (const auto& view : outputs) {
    bytes.update(view.data, view.count * width_of(view.dtype));
    sum.size += view.count;
    for (std::size_t i = 0; i < view.count; ++i) {
      const double value = value_at(view, i);
      const std::uint64_t bits = signs.next();
      total += value;
      squares += value * value;
      for (std::size_t k = 0; k < kSketches; ++k) sketch[k] += (bits >> k) & 1 ? value : -value;
    }
  }
  sum.sha256 = bytes.hex();
  const auto size = static_cast<double>(std::max<std::size_t>(1, sum.size));
  sum.mean = total / size;
  sum.rms = std::sqrt(squares / size);
  for (const double value : sketch) sum.sketch.push_back(value / std::sqrt(size));
  return sum;
}

}  // namespace lutbench

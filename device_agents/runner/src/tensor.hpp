// Tensors, and the buffers that every artifact of an engine shares.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lutbench {

enum class Dtype { f32, f64, f16, u8, i8, u16, i16, u32, i32, u64, i64, boolean };

std::size_t width_of(Dtype dtype);  // bytes

// Values in memory that somebody else holds.
struct View {
  Dtype dtype;
  std::size_t count;
  std::byte* data;
};

// One dtype's memory: what inputs are written from, where they are written, and where outputs go.
struct Buffers {
  Buffers(Dtype dtype, std::size_t count);

  std::size_t count;
  std::byte* source;
  std::byte* input;
  std::byte* output;

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
};

// Inputs and outputs of all artifacts share two buffers per dtype, as the layers of a net share its arena. The values
// are random once: kernels take the same time for any, but not for denormal floats.
class SharedBuffers {
 public:
  // The buffers of a dtype; a larger set from here on where these are too small (who has the old ones keeps them).
  std::shared_ptr<Buffers> get(Dtype dtype, std::size_t count);

 private:
  std::map<Dtype, std::shared_ptr<Buffers>> held_;
};

// Fills an input with the values that `name` decides (docs/runner.md); index: which of the artifact's inputs it is.
void write_check_input(const View& input, const std::string& name, std::size_t index);

// What an artifact computed, in a few numbers. sketch: four sums of the values with random signs, over the root of
// their number: two outputs that agree but for rounding have nearly the same, two different ones have not.
struct Checksum {
  std::string sha256;
  double mean = 0.0;
  double rms = 0.0;
  std::size_t size = 0;
  std::vector<double> sketch;
};

Checksum checksum_of(const std::vector<View>& outputs);

}  // namespace lutbench

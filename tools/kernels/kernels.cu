// Operators of our own for the denoiser on GPUs. compile.py makes src/gpu/runtime/cuda/kernels-ptx.ts of this file.
//
// All arithmetic is float32; what is read and written is bfloat16 or float16, rounded once.

typedef unsigned short half_bits;
typedef unsigned int word;

struct Bfloat16 {
  static __device__ float widen(half_bits bits) { return __uint_as_float((word)bits << 16); }
  // To the nearest, ties to even. Not by an instruction: GPUs before Ampere have none.
  static __device__ half_bits narrow(float value) {
    word bits = __float_as_uint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (half_bits)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
  }
};

struct Float16 {
  static __device__ float widen(half_bits bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
  }
  static __device__ half_bits narrow(float value) {
    half_bits bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
  }
};

template <class T> __device__ float low(word two) { return T::widen((half_bits)(two & 0xffffu)); }
template <class T> __device__ float high(word two) { return T::widen((half_bits)(two >> 16)); }
template <class T> __device__ word both(float first, float second) {
  return (word)T::narrow(first) | ((word)T::narrow(second) << 16);
}

// A warp makes one head of one token: lane `l` has its elements 4 l to 4 l + 3, and 128 further where there are more.
#define LANES 32
#define PIECES 2

// Heads of `tokens` tokens an image, each normalised by its root mean square, scaled and rotated; written as the tokens
// from `first` on of `all_tokens` an image. `cos` and `sin` have a row for each of these.
template <class T>
__device__ void rotate_heads(const uint2* x, const uint2* scale, const float2* cos, const float2* sin, uint2* out,
                             int images, int tokens, int first, int all_tokens, int heads, int size, float epsilon) {
  int lane = threadIdx.x % LANES;
  long long head = (long long)blockIdx.x * (blockDim.x / LANES) + threadIdx.x / LANES;
  if (head >= (long long)images * tokens * heads) return;
  int row = (int)(head / heads);
  int image = row / tokens;
  int place = first + row - image * tokens;
  int pieces = size / 4;

  float values[PIECES][4];
  float squares = 0.f;
  for (int k = 0; k < PIECES; k++) {
    int piece = lane + k * LANES;
    if (piece >= pieces) continue;
    uint2 read = x[head * pieces + piece];
    values[k][0] = low<T>(read.x);
    values[k][1] = high<T>(read.x);
    values[k][2] = low<T>(read.y);
    values[k][3] = high<T>(read.y);
    for (int i = 0; i < 4; i++) squares += values[k][i] * values[k][i];
  }
  for (int distance = LANES / 2; distance > 0; distance /= 2) {
    squares += __shfl_xor_sync(0xffffffffu, squares, distance);
  }
  float norm = rsqrtf(squares / (float)size + epsilon);

  long long target = ((long long)image * all_tokens + place) * heads + head % heads;
  for (int k = 0; k < PIECES; k++) {
    int piece = lane + k * LANES;
    if (piece >= pieces) continue;
    uint2 factors = scale[piece];
    float2 c = cos[(long long)place * pieces + piece];
    float2 s = sin[(long long)place * pieces + piece];
    float a = values[k][0] * norm * low<T>(factors.x);
    float b = values[k][1] * norm * high<T>(factors.x);
    float d = values[k][2] * norm * low<T>(factors.y);
    float e = values[k][3] * norm * high<T>(factors.y);
    uint2 written;
    written.x = both<T>(a * c.x - b * s.x, b * c.x + a * s.x);
    written.y = both<T>(d * c.y - e * s.y, e * c.y + d * s.y);
    out[target * pieces + piece] = written;
  }
}

template <class T> __device__ word gated(word gate, word value) {
  float g = low<T>(gate);
  float h = high<T>(gate);
  return both<T>(__fdividef(g, 1.f + __expf(-g)) * low<T>(value), __fdividef(h, 1.f + __expf(-h)) * high<T>(value));
}

// Row by row: `before` as it is, then silu(gate) * value. A block makes a row; widths are in eights of elements.
template <class T>
__device__ void gated_product(const uint4* before, const uint4* gate, const uint4* value, uint4* out, int before_width,
                              int width) {
  long long row = blockIdx.x;
  int all = before_width + width;
  for (int at = threadIdx.x; at < all; at += blockDim.x) {
    uint4 result;
    if (at < before_width) {
      result = before[row * before_width + at];
    } else {
      uint4 g = gate[row * width + at - before_width];
      uint4 v = value[row * width + at - before_width];
      result.x = gated<T>(g.x, v.x);
      result.y = gated<T>(g.y, v.y);
      result.z = gated<T>(g.z, v.z);
      result.w = gated<T>(g.w, v.w);
    }
    out[row * all + at] = result;
  }
}

#define KERNELS(name, T)                                                                                               \
  extern "C" __global__ void rotate_heads_##name(const uint2* x, const uint2* scale, const float2* cos,                \
                                                 const float2* sin, uint2* out, int images, int tokens, int first,     \
                                                 int all_tokens, int heads, int size, float epsilon) {                 \
    rotate_heads<T>(x, scale, cos, sin, out, images, tokens, first, all_tokens, heads, size, epsilon);                 \
  }                                                                                                                    \
  extern "C" __global__ void gated_product_##name(const uint4* before, const uint4* gate, const uint4* value,          \
                                                  uint4* out, int before_width, int width) {                           \
    gated_product<T>(before, gate, value, out, before_width, width);                                                   \
  }

KERNELS(bfloat16, Bfloat16)
KERNELS(float16, Float16)

// Operators of our own for the denoiser on GPUs. compile.py makes src/gpu/runtime/cuda/kernels-ptx.ts of this file.
//
// All arithmetic is float32, sums over many values float64; what is read and written is rounded once.

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

#define THREADS 256
#define WARPS (THREADS / LANES)

// The sum over a block's threads, for all of them. `room` is the block's own and may be used again afterwards.
template <class V> __device__ V block_sum(V value, V* room) {
  for (int distance = LANES / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, distance);
  }
  __syncthreads();
  if (threadIdx.x % LANES == 0) room[threadIdx.x / LANES] = value;
  __syncthreads();
  V sum = 0;
  for (int warp = 0; warp < WARPS; warp++) sum += room[warp];
  return sum;
}

// Eights of elements that a thread keeps of a row.
#define KEPT 4

// sum = before + gate * change, and that sum normalised over its row, times `factor`, plus `shift`. A block makes a row;
// `width` is in eights of elements, at most KEPT * THREADS.
template <class T>
__device__ void gated_sum_norm(const uint4* before, const uint4* change, const uint4* gate, const uint4* factor,
                               const uint4* shift, uint4* sum, uint4* normed, int width, float epsilon) {
  __shared__ float room[WARPS];
  long long row = blockIdx.x;
  float values[KEPT][8];
  float total = 0.f;
#pragma unroll
  for (int k = 0; k < KEPT; k++) {
    int at = threadIdx.x + k * THREADS;
    if (at >= width) continue;
    uint4 b = before[row * width + at];
    uint4 c = change[row * width + at];
    uint4 g = gate[at];
    const word* bs = &b.x;
    const word* cs = &c.x;
    const word* gs = &g.x;
    uint4 written;
    word* ws = &written.x;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      values[k][2 * i] = low<T>(bs[i]) + low<T>(gs[i]) * low<T>(cs[i]);
      values[k][2 * i + 1] = high<T>(bs[i]) + high<T>(gs[i]) * high<T>(cs[i]);
      total += values[k][2 * i] + values[k][2 * i + 1];
      ws[i] = both<T>(values[k][2 * i], values[k][2 * i + 1]);
    }
    sum[row * width + at] = written;
  }
  float size = (float)width * 8.f;
  float mean = block_sum(total, room) / size;
  float squares = 0.f;
#pragma unroll
  for (int k = 0; k < KEPT; k++) {
    if (threadIdx.x + k * THREADS >= width) continue;
#pragma unroll
    for (int i = 0; i < 8; i++) squares += (values[k][i] - mean) * (values[k][i] - mean);
  }
  float norm = rsqrtf(block_sum(squares, room) / size + epsilon);
#pragma unroll
  for (int k = 0; k < KEPT; k++) {
    int at = threadIdx.x + k * THREADS;
    if (at >= width) continue;
    uint4 f = factor[at];
    uint4 s = shift[at];
    const word* fs = &f.x;
    const word* ss = &s.x;
    uint4 written;
    word* ws = &written.x;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      ws[i] = both<T>((values[k][2 * i] - mean) * norm * low<T>(fs[i]) + low<T>(ss[i]),
                      (values[k][2 * i + 1] - mean) * norm * high<T>(fs[i]) + high<T>(ss[i]));
    }
    normed[row * width + at] = written;
  }
}

// Of a slice of a group: the sums of its values and of their squares, less the group's first value, which keeps them
// small. A block makes slice blockIdx.x of group blockIdx.y; lengths are in fours of elements.
extern "C" __global__ void group_sums_float32(const float4* x, double2* sums, int length, int slice) {
  __shared__ double room[WARPS];
  const float4* group = x + (long long)blockIdx.y * length;
  float origin = group[0].x;
  int end = min(length, (int)(blockIdx.x + 1) * slice);
  float sum = 0.f;
  float squares = 0.f;
  for (int at = blockIdx.x * slice + threadIdx.x; at < end; at += THREADS) {
    float4 read = group[at];
    float a = read.x - origin;
    float b = read.y - origin;
    float c = read.z - origin;
    float d = read.w - origin;
    sum += (a + b) + (c + d);
    squares += (a * a + b * b) + (c * c + d * d);
  }
  double2 total;
  total.x = block_sum((double)sum, room);
  total.y = block_sum((double)squares, room);
  if (threadIdx.x == 0) sums[blockIdx.y * gridDim.x + blockIdx.x] = total;
}

__device__ float scaled(float value, float factor, float shift, int silu) {
  float y = value * factor + shift;
  return silu ? __fdividef(y, 1.f + __expf(-y)) : y;
}

// The same slice, normalised by what all slices of its group have summed, times `scale` and plus `bias` of its channel,
// then through silu if it is asked for. `pixels`, in fours too, is what a channel has.
extern "C" __global__ void group_norm_float32(const float4* x, const double2* sums, const float* scale,
                                              const float* bias, float4* out, int length, int slice, int pixels,
                                              int groups, float epsilon, int silu) {
  __shared__ double room[WARPS];
  long long first = (long long)blockIdx.y * length;
  double sum = 0;
  double squares = 0;
  for (int at = threadIdx.x; at < gridDim.x; at += THREADS) {
    double2 read = sums[blockIdx.y * gridDim.x + at];
    sum += read.x;
    squares += read.y;
  }
  double size = (double)length * 4;
  double offset = block_sum(sum, room) / size;
  double variance = block_sum(squares, room) / size - offset * offset;
  float mean = (float)((double)x[first].x + offset);
  float norm = (float)rsqrt((variance > 0 ? variance : 0) + (double)epsilon);
  int channel = (blockIdx.y % groups) * (length / pixels);
  int end = min(length, (int)(blockIdx.x + 1) * slice);
  for (int at = blockIdx.x * slice + threadIdx.x; at < end; at += THREADS) {
    int c = channel + at / pixels;
    float factor = scale[c] * norm;
    float shift = bias[c] - mean * factor;
    float4 value = x[first + at];
    value.x = scaled(value.x, factor, shift, silu);
    value.y = scaled(value.y, factor, shift, silu);
    value.z = scaled(value.z, factor, shift, silu);
    value.w = scaled(value.w, factor, shift, silu);
    out[first + at] = value;
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
  }                                                                                                                    \
  extern "C" __global__ void gated_sum_norm_##name(const uint4* before, const uint4* change, const uint4* gate,        \
                                                   const uint4* factor, const uint4* shift, uint4* sum, uint4* normed, \
                                                   int width, float epsilon) {                                         \
    gated_sum_norm<T>(before, change, gate, factor, shift, sum, normed, width, epsilon);                               \
  }

KERNELS(bfloat16, Bfloat16)
KERNELS(float16, Float16)

import type { ComputeType } from '../../src/gpu/graph/builder.js';
import { bytesAt, type Pointer } from '../../src/gpu/runtime/cuda/native.js';
import type {
  GatedProductCall,
  GatedSumNormCall,
  GroupNormCall,
  OwnKernels,
  RotateHeadsCall,
} from '../../src/gpu/runtime/cuda/own-kernels.js';

/** What the GPU's kernels compute, on the CPU in float32. */
export function openOwnKernels(type: ComputeType): OwnKernels {
  if (type !== 'float32') throw new Error(`expected float32, got ${type}`);
  return { provider: undefined, rotateHeads, gatedProduct, gatedSumNorm, groupNorm };
}

function rotateHeads(call: RotateHeadsCall): void {
  const { images, tokens, first, allTokens, heads, size, epsilon } = call;
  const half = size / 2;
  const x = floats(call.x, images * tokens * heads * size);
  const scale = floats(call.scale, size);
  const cos = floats(call.cos, allTokens * half);
  const sin = floats(call.sin, allTokens * half);
  const out = floats(call.out, images * allTokens * heads * size);
  for (let image = 0; image < images; image++) {
    for (let token = 0; token < tokens; token++) {
      for (let head = 0; head < heads; head++) {
        const from = ((image * tokens + token) * heads + head) * size;
        const to = ((image * allTokens + first + token) * heads + head) * size;
        const place = (first + token) * half;
        const values = x.subarray(from, from + size);
        const norm = 1 / Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / size + epsilon);
        for (let pair = 0; pair < half; pair++) {
          const [a, b] = [0, 1]
            .map((at) => at + 2 * pair)
            .map((at) => valueAt(values, at) * norm * valueAt(scale, at));
          const [c, s] = [valueAt(cos, place + pair), valueAt(sin, place + pair)];
          out[to + 2 * pair] = (a as number) * c - (b as number) * s;
          out[to + 2 * pair + 1] = (b as number) * c + (a as number) * s;
        }
      }
    }
  }
}

function gatedProduct({ before, gate, value, out, rows, beforeWidth, width }: GatedProductCall): void {
  const all = beforeWidth + width;
  const target = floats(out, rows * all);
  const [gates, values] = [floats(gate, rows * width), floats(value, rows * width)];
  for (let row = 0; row < rows; row++) {
    if (beforeWidth > 0) {
      target.set(
        floats(before, rows * beforeWidth).subarray(row * beforeWidth, (row + 1) * beforeWidth),
        row * all,
      );
    }
    for (let at = 0; at < width; at++) {
      const g = valueAt(gates, row * width + at);
      target[row * all + beforeWidth + at] = (g / (1 + Math.exp(-g))) * valueAt(values, row * width + at);
    }
  }
}

function gatedSumNorm(call: GatedSumNormCall): void {
  const { rows, width, epsilon } = call;
  const [before, change] = [floats(call.before, rows * width), floats(call.change, rows * width)];
  const [gate, factor, shift] = [call.gate, call.factor, call.shift].map((address) => floats(address, width));
  const [sum, normed] = [floats(call.sum, rows * width), floats(call.normed, rows * width)];
  if (!gate || !factor || !shift) throw new Error('a modulation has three parts');
  for (let row = 0; row < rows; row++) {
    const range = [row * width, (row + 1) * width] as const;
    const sums = sum.subarray(...range);
    for (let at = 0; at < width; at++) {
      sums[at] = valueAt(before, range[0] + at) + valueAt(gate, at) * valueAt(change, range[0] + at);
    }
    const [mean, variance] = momentsOf(sums);
    const norm = 1 / Math.sqrt(variance + epsilon);
    for (let at = 0; at < width; at++) {
      normed[range[0] + at] = (valueAt(sums, at) - mean) * norm * valueAt(factor, at) + valueAt(shift, at);
    }
  }
}

function groupNorm(call: GroupNormCall): void {
  const { images, channels, pixels, groups, epsilon, silu } = call;
  const [scale, bias] = [floats(call.scale, channels), floats(call.bias, channels)];
  const length = (channels / groups) * pixels;
  const [x, out] = [call.x, call.out].map((address) => floats(address, images * channels * pixels));
  if (!x || !out) throw new Error('a normalisation has an input and an output');
  for (let group = 0; group < images * groups; group++) {
    const values = x.subarray(group * length, (group + 1) * length);
    const [mean, variance] = momentsOf(values);
    const norm = 1 / Math.sqrt(variance + epsilon);
    for (let at = 0; at < length; at++) {
      const channel = (group % groups) * (channels / groups) + Math.floor(at / pixels);
      const y = (valueAt(values, at) - mean) * norm * valueAt(scale, channel) + valueAt(bias, channel);
      out[group * length + at] = silu ? y / (1 + Math.exp(-y)) : y;
    }
  }
}

/** Mean and variance. */
function momentsOf(values: Float32Array): [mean: number, variance: number] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length];
}

function valueAt(values: Float32Array, index: number): number {
  return values[index] as number;
}

/** The memory itself. */
function floats(address: Pointer, length: number): Float32Array {
  const bytes = bytesAt(address, length * Float32Array.BYTES_PER_ELEMENT);
  return new Float32Array(bytes.buffer, bytes.byteOffset, length);
}

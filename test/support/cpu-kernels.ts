import type { ComputeType } from '../../src/gpu/graph/builder.js';
import { bytesAt, type Pointer } from '../../src/gpu/runtime/cuda/native.js';
import type {
  GatedProductCall,
  OwnKernels,
  RotateHeadsCall,
} from '../../src/gpu/runtime/cuda/own-kernels.js';

/** What the GPU's kernels compute, on the CPU in float32. */
export function openOwnKernels(type: ComputeType): OwnKernels {
  if (type !== 'float32') throw new Error(`expected float32, got ${type}`);
  return { provider: undefined, rotateHeads, gatedProduct };
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

function valueAt(values: Float32Array, index: number): number {
  return values[index] as number;
}

/** The memory itself. */
function floats(address: Pointer, length: number): Float32Array {
  const bytes = bytesAt(address, length * Float32Array.BYTES_PER_ELEMENT);
  return new Float32Array(bytes.buffer, bytes.byteOffset, length);
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../src/package-root.js';

export const FIXTURES = join(packageRoot(), 'test', 'fixtures');
export const EMOJI = join(packageRoot(), 'models', 'emoji');
export const TINY_KLEIN = join(FIXTURES, 'tiny-klein');
/** A checkpoint of exactly the classes of FLUX.2-klein, bfloat16, in shards. */
export const TINY_QWEN = join(FIXTURES, 'tiny-qwen');

/** A file of little-endian float32, as numpy writes it. */
export function readFloats(...path: string[]): Float32Array {
  const bytes = readFileSync(join(FIXTURES, ...path));
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

export function readJson<T>(...path: string[]): T {
  return JSON.parse(readFileSync(join(FIXTURES, ...path), 'utf8')) as T;
}

/** The largest difference, measured by the largest reference value. */
export function relativeDifference(actual: Float32Array, reference: Float32Array): number {
  if (actual.length !== reference.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let largest = 0;
  for (let index = 0; index < reference.length; index++) {
    // `Math.max` would turn a NaN into NaN, which no comparison catches.
    const distance = Math.abs((actual[index] as number) - (reference[index] as number));
    if (!(distance <= difference)) difference = Number.isNaN(distance) ? Number.POSITIVE_INFINITY : distance;
    largest = Math.max(largest, Math.abs(reference[index] as number));
  }
  return difference / largest;
}

/** The largest difference of any channel of any pixel. */
export function levelDifference(actual: Uint8Array, reference: Uint8Array): number {
  if (actual.length !== reference.length) return 256;
  let difference = 0;
  for (let index = 0; index < reference.length; index++) {
    difference = Math.max(difference, Math.abs((actual[index] as number) - (reference[index] as number)));
  }
  return difference;
}

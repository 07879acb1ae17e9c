/*
 * Whether the kernels of our own operators compute what they should on a GPU, and how long they take there:
 *
 *   node dist/bench/gpu/kernels-check.js [--device 0]
 *
 * A line a case; exit code 1 where one is wrong. Times are of many launches one after the other, with the rate at which
 * they read and write memory.
 */
import { parseArgs } from 'node:util';
import { bfloat16Bits, float16Bits } from '../../src/gpu/graph/small-floats.js';
import { openCudaDriver } from '../../src/gpu/runtime/cuda/cuda-driver.js';
import { openOwnKernels } from '../../src/gpu/runtime/cuda/cuda-kernels.js';
import type { DeviceBuffer } from '../../src/gpu/runtime/cuda/driver.js';
import { groupNormRoom } from '../../src/gpu/runtime/cuda/own-kernels.js';
import { relativeError } from './difference.js';

const { values } = parseArgs({ options: { device: { type: 'string', default: '0' } } });
const driver = await openCudaDriver({ device: Number(values.device), leastCuda: '13.0' });
const stream = driver.createStream();
const EPSILON = 1e-6;
const LAUNCHES = 50;

/** Bits of a type, and the value of each. */
const TYPES = {
  bfloat16: { bits: bfloat16Bits, values: allValues(bfloat16Value), tolerance: 3e-3 },
  float16: { bits: float16Bits, values: allValues(float16Value), tolerance: 4e-4 },
} as const;
type Type = keyof typeof TYPES;

function allValues(value: (bits: number) => number): Float64Array {
  return Float64Array.from({ length: 2 ** 16 }, (_, bits) => value(bits));
}

function bfloat16Value(bits: number): number {
  return new Float32Array(Uint32Array.of(bits << 16).buffer)[0] as number;
}

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}

let seed = 1;
/** Somewhere between −2 and 2. */
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 30 - 2;
}

interface Operand {
  readonly buffer: DeviceBuffer;
  readonly values: Float64Array;
}

async function upload(bytes: Uint8Array): Promise<DeviceBuffer> {
  const pinned = driver.allocatePinned(bytes.byteLength);
  pinned.bytes.set(bytes);
  const buffer = driver.allocate(bytes.byteLength);
  stream.copyToDevice(buffer.address, pinned.address, bytes.byteLength);
  await idle();
  pinned.close();
  return buffer;
}

async function narrow(type: Type, length: number): Promise<Operand> {
  const bits = new Uint16Array(length);
  for (let at = 0; at < length; at++) bits[at] = TYPES[type].bits(random());
  return { buffer: await upload(new Uint8Array(bits.buffer)), values: valuesOf(type, bits) };
}

/** Typed arrays' own `from` takes ten times as long. */
function valuesOf(type: Type, bits: Uint16Array): Float64Array {
  const { values } = TYPES[type];
  const known = new Float64Array(bits.length);
  for (let at = 0; at < bits.length; at++) known[at] = values[bits[at] as number] as number;
  return known;
}

async function wide(length: number): Promise<Operand> {
  const floats = Float32Array.from({ length }, random);
  return { buffer: await upload(new Uint8Array(floats.buffer)), values: Float64Array.from(floats) };
}

async function download({ address, bytes }: DeviceBuffer): Promise<ArrayBuffer> {
  const pinned = driver.allocatePinned(bytes);
  stream.copyToHost(pinned.address, address, bytes);
  await idle();
  const copy = pinned.bytes.slice().buffer;
  pinned.close();
  return copy;
}

async function narrowValues(type: Type, buffer: DeviceBuffer): Promise<Float64Array> {
  return valuesOf(type, new Uint16Array(await download(buffer)));
}

async function idle(): Promise<void> {
  const event = driver.createEvent();
  stream.record(event);
  await event.done();
  event.close();
}

async function microseconds(launch: () => void): Promise<number> {
  launch();
  await idle();
  const began = performance.now();
  for (let count = 0; count < LAUNCHES; count++) launch();
  await idle();
  return ((performance.now() - began) * 1000) / LAUNCHES;
}

interface Measured {
  readonly error: number;
  readonly microseconds: number;
  readonly bytes: number;
}

interface Heads {
  readonly images: number;
  /** Of the two parts. */
  readonly tokens: readonly [number, number];
  readonly heads: number;
  readonly size: number;
}

async function rotateHeads(type: Type, { images, tokens, heads, size }: Heads): Promise<Measured> {
  const kernels = openOwnKernels(type);
  const allTokens = tokens[0] + tokens[1];
  const half = size / 2;
  const [cos, sin] = [await wide(allTokens * half), await wide(allTokens * half)];
  const out = driver.allocate(images * allTokens * heads * size * 2);
  const parts: { count: number; first: number; x: Operand; scale: Operand }[] = [];
  for (const [index, count] of tokens.entries()) {
    if (count === 0) continue;
    const x = await narrow(type, images * count * heads * size);
    parts.push({ count, first: index === 0 ? 0 : tokens[0], x, scale: await narrow(type, size) });
  }
  const launch = () => {
    for (const { count, first, x, scale } of parts) {
      kernels.rotateHeads(
        {
          ...{ x: x.buffer.address, scale: scale.buffer.address, out: out.address },
          ...{ cos: cos.buffer.address, sin: sin.buffer.address },
          ...{ images, tokens: count, first, allTokens, heads, size, epsilon: EPSILON },
        },
        stream.handle,
      );
    }
  };
  const took = await microseconds(launch);
  const expected = new Float64Array(images * allTokens * heads * size);
  for (const { count, first, x, scale } of parts) {
    for (let head = 0; head < images * count * heads; head++) {
      const values = x.values.subarray(head * size, (head + 1) * size);
      const norm = 1 / Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / size + EPSILON);
      const row = Math.floor(head / heads);
      const place = first + (row % count);
      const to = ((Math.floor(row / count) * allTokens + place) * heads + (head % heads)) * size;
      for (let pair = 0; pair < half; pair++) {
        const scaled = (at: number) => (values[at] as number) * norm * (scale.values[at] as number);
        const [a, b] = [scaled(2 * pair), scaled(2 * pair + 1)];
        const [c, s] = [cos, sin].map(({ values }) => values[place * half + pair] as number);
        expected[to + 2 * pair] = a * (c as number) - b * (s as number);
        expected[to + 2 * pair + 1] = b * (c as number) + a * (s as number);
      }
    }
  }
  const error = relativeError(await narrowValues(type, out), expected);
  for (const { x, scale } of parts) for (const { buffer } of [x, scale]) buffer.close();
  for (const buffer of [cos.buffer, sin.buffer, out]) buffer.close();
  return { error, microseconds: took, bytes: 4 * images * allTokens * heads * size };
}

async function gatedProduct(
  type: Type,
  { rows, beforeWidth, width }: { rows: number; beforeWidth: number; width: number },
): Promise<Measured> {
  const kernels = openOwnKernels(type);
  const before = beforeWidth === 0 ? undefined : await narrow(type, rows * beforeWidth);
  const [gate, value] = [await narrow(type, rows * width), await narrow(type, rows * width)];
  const all = beforeWidth + width;
  const out = driver.allocate(rows * all * 2);
  const took = await microseconds(() =>
    kernels.gatedProduct(
      {
        ...{ before: before?.buffer.address ?? 0n, gate: gate.buffer.address, value: value.buffer.address },
        ...{ out: out.address, rows, beforeWidth, width },
      },
      stream.handle,
    ),
  );
  const expected = new Float64Array(rows * all);
  for (let row = 0; row < rows; row++) {
    for (let at = 0; at < beforeWidth; at++)
      expected[row * all + at] = before?.values[row * beforeWidth + at] as number;
    for (let at = 0; at < width; at++) {
      const g = gate.values[row * width + at] as number;
      const v = value.values[row * width + at] as number;
      expected[row * all + beforeWidth + at] = (g / (1 + Math.exp(-g))) * v;
    }
  }
  const error = relativeError(await narrowValues(type, out), expected);
  for (const operand of [before, gate, value]) operand?.buffer.close();
  out.close();
  return { error, microseconds: took, bytes: 2 * rows * (2 * beforeWidth + 3 * width) };
}

async function gatedSumNorm(type: Type, { rows, width }: { rows: number; width: number }): Promise<Measured> {
  const kernels = openOwnKernels(type);
  const [before, change] = [await narrow(type, rows * width), await narrow(type, rows * width)];
  const [gate, factor, shift] = [
    await narrow(type, width),
    await narrow(type, width),
    await narrow(type, width),
  ];
  const [sum, normed] = [driver.allocate(rows * width * 2), driver.allocate(rows * width * 2)];
  const addresses = Object.fromEntries(
    Object.entries({ before, change, gate, factor, shift }).map(([name, operand]) => [
      name,
      operand.buffer.address,
    ]),
  ) as Record<'before' | 'change' | 'gate' | 'factor' | 'shift', bigint>;
  const call = { ...addresses, sum: sum.address, normed: normed.address, rows, width, epsilon: EPSILON };
  const took = await microseconds(() => kernels.gatedSumNorm(call, stream.handle));
  const sums = before.values.map(
    (value, at) => value + (gate.values[at % width] as number) * (change.values[at] as number),
  );
  const expected = new Float64Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const values = sums.subarray(row * width, (row + 1) * width);
    const [mean, norm] = momentsOf(values);
    for (const [at, value] of values.entries()) {
      const scaled = (value - mean) * norm * (factor.values[at] as number);
      expected[row * width + at] = scaled + (shift.values[at] as number);
    }
  }
  const error = Math.max(
    relativeError(await narrowValues(type, sum), sums),
    relativeError(await narrowValues(type, normed), expected),
  );
  for (const { buffer } of [before, change, gate, factor, shift]) buffer.close();
  for (const buffer of [sum, normed]) buffer.close();
  return { error, microseconds: took, bytes: 8 * rows * width };
}

interface Picture {
  readonly images: number;
  readonly channels: number;
  readonly pixels: number;
  readonly groups: number;
  readonly silu: boolean;
  /** What all values are off by. */
  readonly offset?: number;
}

async function groupNorm({ offset = 0, ...shape }: Picture): Promise<Measured> {
  const { images, channels, pixels, groups, silu } = shape;
  const kernels = openOwnKernels('float32');
  const count = images * channels * pixels;
  const floats = Float32Array.from({ length: count }, () => random() + offset);
  const x = await upload(new Uint8Array(floats.buffer));
  const [scale, bias] = [await wide(channels), await wide(channels)];
  const out = driver.allocate(count * 4);
  const room = driver.allocate(groupNormRoom(shape) * 4);
  const weights = { scale: scale.buffer.address, bias: bias.buffer.address };
  const tensors = { x: x.address, ...weights, out: out.address, room: room.address };
  const took = await microseconds(() =>
    kernels.groupNorm({ ...tensors, ...shape, epsilon: EPSILON }, stream.handle),
  );
  const expected = new Float64Array(count);
  const length = (channels / groups) * pixels;
  for (let group = 0; group < images * groups; group++) {
    const values = Float64Array.from(floats.subarray(group * length, (group + 1) * length));
    const [mean, norm] = momentsOf(values);
    for (const [at, value] of values.entries()) {
      const channel = (group % groups) * (channels / groups) + Math.floor(at / pixels);
      const y = (value - mean) * norm * (scale.values[channel] as number) + (bias.values[channel] as number);
      expected[group * length + at] = silu ? y / (1 + Math.exp(-y)) : y;
    }
  }
  const error = relativeError(new Float32Array(await download(out)), expected);
  for (const buffer of [x, scale.buffer, bias.buffer, out, room]) buffer.close();
  return { error, microseconds: took, bytes: 12 * count };
}

/** Mean, and one over the deviation. */
function momentsOf(values: Float64Array): [mean: number, norm: number] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return [mean, 1 / Math.sqrt(variance + EPSILON)];
}

/** The 9B shape at 512², then sizes at which loops end early. */
const cases: Record<string, (type: Type) => Promise<Measured>> = {
  'heads of a single block': (type) =>
    rotateHeads(type, { images: 1, tokens: [1536, 0], heads: 32, size: 128 }),
  'heads of a double block': (type) =>
    rotateHeads(type, { images: 1, tokens: [512, 1024], heads: 32, size: 128 }),
  'heads of three images': (type) => rotateHeads(type, { images: 3, tokens: [5, 7], heads: 3, size: 128 }),
  'small heads': (type) => rotateHeads(type, { images: 2, tokens: [3, 4], heads: 2, size: 24 }),
  'large heads': (type) => rotateHeads(type, { images: 1, tokens: [3, 4], heads: 2, size: 256 }),
  'product of a single block': (type) => gatedProduct(type, { rows: 1536, beforeWidth: 4096, width: 12_288 }),
  'product of a double block': (type) => gatedProduct(type, { rows: 1024, beforeWidth: 0, width: 12_288 }),
  'a small product': (type) => gatedProduct(type, { rows: 3, beforeWidth: 8, width: 40 }),
  'sums of a single block': (type) => gatedSumNorm(type, { rows: 1536, width: 4096 }),
  'sums of the 4B shape': (type) => gatedSumNorm(type, { rows: 512, width: 3072 }),
  'small sums': (type) => gatedSumNorm(type, { rows: 3, width: 48 }),
  'large sums': (type) => gatedSumNorm(type, { rows: 3, width: 8192 }),
};
/** The decoder's at 512²: its last block, its first, and sizes at which loops end early. */
const groups = 32;
const pictures: Record<string, Picture> = {
  'groups of the last block': { images: 1, channels: 128, pixels: 512 ** 2, groups, silu: true },
  'groups of the first block': { images: 1, channels: 512, pixels: 64 ** 2, groups, silu: true },
  'groups far from 0': { images: 2, channels: 64, pixels: 4100, groups, silu: false, offset: 50 },
  'small groups': { images: 3, channels: 16, pixels: 12, groups: 4, silu: true },
};

console.log(`${driver.facts.name}, driver ${driver.facts.driverVersion}`);
for (const type of Object.keys(TYPES) as Type[]) {
  for (const [name, check] of Object.entries(cases)) {
    tell(`${type.padEnd(8)} ${name}`, await check(type), TYPES[type].tolerance);
  }
}
for (const [name, picture] of Object.entries(pictures)) {
  tell(`float32  ${name}`, await groupNorm(picture), 1e-5);
}
stream.close();
driver.close();

function tell(name: string, { error, microseconds: took, bytes }: Measured, tolerance: number): void {
  const isRight = error < tolerance;
  if (!isRight) process.exitCode = 1;
  const rate = (bytes / took / 1000).toFixed(0);
  console.log(
    `${isRight ? 'ok   ' : 'WRONG'} ${name.padEnd(36)} error ${error.toExponential(1)}, ${took.toFixed(1)} µs, ${rate} GB/s`,
  );
}

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Checkpoint, openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import type { ComputeType } from '../src/gpu/graph/builder.js';
import { buildGraphs } from '../src/gpu/graph/graphs.js';
import { bfloat16Bits, float16Bits } from '../src/gpu/graph/small-floats.js';
import { openCpuRuntime } from '../src/gpu/runtime/onnxruntime-cpu.js';
import { floatTensor, integerTensor, readOutput } from '../src/gpu/runtime/session.js';
import { levelDifference, relativeDifference, TINY_KLEIN, TINY_QWEN } from './support/references.js';
import { runGraph } from './support/run-graph.js';

let cacheFolder: string;
let withBert: Checkpoint;
let withQwen: Checkpoint;
before(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), 'tdiff-compute-'));
  withBert = await openCheckpoint(TINY_KLEIN, { name: 'klein', cacheFolder });
  withQwen = await openCheckpoint(TINY_QWEN, { name: 'klein', cacheFolder });
});
after(() => rm(cacheFolder, { recursive: true }));

const graphsIn = (checkpoint: Checkpoint, type: ComputeType) =>
  buildGraphs(checkpoint, {
    textEncoder: type,
    transformer: type,
    vaeDecoder: type === 'bfloat16' ? 'float32' : type,
  });

/** Of no meaning, but the same each time. */
function numbers(count: number, scale = 1): Float32Array {
  return Float32Array.from({ length: count }, (_, index) => scale * Math.sin(index * index + index));
}

/** What the three graphs make of made-up inputs: two images of 4×6 tokens, 5 tokens of text. */
async function outputs(checkpoint: Checkpoint, type: ComputeType) {
  const { transformer, vae, textEncoder } = checkpoint;
  const { in_channels: channels, joint_attention_dim: embedding, attention_head_dim } = transformer.config;
  const graphs = graphsIn(checkpoint, type);
  const half = attention_head_dim / 2;
  const angles = numbers(29 * half, 3);
  const latents = numbers(2 * 24 * channels);
  const text = await runGraph(graphs.textEncoder, textEncoder.weights.folder, {
    input_ids: integerTensor([2, 4, 5, 6, 3, 2, 7, 3, 0, 0], [2, 5]),
    attention_mask: integerTensor([1, 1, 1, 1, 1, 1, 1, 1, 0, 0], [2, 5]),
  });
  const denoised = await runGraph(graphs.transformer, transformer.weights.folder, {
    hidden_states: floatTensor(latents, [2, 24, channels]),
    encoder_hidden_states: floatTensor(numbers(2 * 5 * embedding), [2, 5, embedding]),
    timestep: floatTensor(Float32Array.of(0.7), [1]),
    rope_cos: floatTensor(angles.map(Math.cos), [29, half]),
    rope_sin: floatTensor(angles.map(Math.sin), [29, half]),
    positions: integerTensor(
      Array.from({ length: 58 }, (_, index) => index % 29),
      [2, 29],
    ),
    step: floatTensor(Float32Array.of(-0.25), [1]),
  });
  const decoded = await runGraph(graphs.vaeDecoder, vae.weights.folder, {
    latents: floatTensor(numbers(2 * 24 * channels), [2, 4, 6, channels]),
  });
  return {
    start: latents,
    promptEmbeds: (await readOutput(text, 'prompt_embeds', 'float32')).data,
    velocity: (await readOutput(denoised, 'velocity', 'float32')).data,
    latents: (await readOutput(denoised, 'latents', 'float32')).data,
    pixels: (await readOutput(decoded, 'pixels', 'uint8')).data,
  };
}

test('half precision stays near float32, and a step is summed in float32', async () => {
  for (const checkpoint of [withBert, withQwen]) {
    const [wide, narrow] = [await outputs(checkpoint, 'float32'), await outputs(checkpoint, 'float16')];
    for (const name of ['promptEmbeds', 'velocity'] as const) {
      const difference = relativeDifference(narrow[name], wide[name]);
      assert.ok(difference > 0 && difference < 5e-3, `${name} differs by ${difference}`);
    }
    assert.ok(levelDifference(narrow.pixels, wide.pixels) <= 3);
    for (const { start, velocity, latents } of [wide, narrow]) {
      const summed = start.map((value, index) => value + Math.fround(-0.25 * (velocity[index] as number)));
      assert.deepEqual(latents, summed);
    }
  }
});

test('sums that outgrow half precision do not break it', async () => {
  // A thousand times the latents: the streams pass 65504 on their way.
  const graph = graphsIn(withBert, 'float16').transformer;
  const {
    in_channels: channels,
    joint_attention_dim: embedding,
    attention_head_dim,
  } = withBert.transformer.config;
  const half = attention_head_dim / 2;
  const denoised = await runGraph(graph, withBert.transformer.weights.folder, {
    hidden_states: floatTensor(numbers(4 * channels, 60_000), [1, 4, channels]),
    encoder_hidden_states: floatTensor(numbers(embedding, 60_000), [1, 1, embedding]),
    timestep: floatTensor(Float32Array.of(1), [1]),
    rope_cos: floatTensor(new Float32Array(5 * half).fill(1), [5, half]),
    rope_sin: floatTensor(new Float32Array(5 * half), [5, half]),
    positions: integerTensor([0, 1, 2, 3, 4], [1, 5]),
    step: floatTensor(Float32Array.of(-1), [1]),
  });
  const { data } = await readOutput(denoised, 'velocity', 'float32');
  assert.ok(data.every(Number.isFinite));
});

describe('bfloat16', () => {
  test("ONNX Runtime's type inference accepts the graphs", async () => {
    for (const [graph, component] of [withBert, withQwen].flatMap((checkpoint) => {
      const { textEncoder, transformer } = graphsIn(checkpoint, 'bfloat16');
      return [[textEncoder, checkpoint.textEncoder] as const, [transformer, checkpoint.transformer] as const];
    })) {
      const runtime = openCpuRuntime(1);
      // Types are checked first; then the CPU has hardly a kernel for them.
      await runtime
        .open([{ component: 'tested', ...graph, weightsFolder: component.weights.folder }])
        .catch((error: Error) => assert.match(error.message, /Could not find an implementation/));
      await runtime.close();
    }
  });

  test('float32 weights come into a bfloat16 graph through a cast, bfloat16 ones as they are', () => {
    const { transformer, textEncoder } = graphsIn(withBert, 'bfloat16');
    assert.ok(transformer.weights.every(({ dtype }) => dtype === 'BF16'));
    assert.ok(textEncoder.weights.every(({ dtype }) => dtype === 'F32'));
  });
});

test('numbers are rounded to 16 bits as IEEE rounds them', () => {
  const cases: [number, number, number][] = [
    // value, bfloat16, float16
    [0, 0x0000, 0x0000],
    [-0, 0x8000, 0x8000],
    [1, 0x3f80, 0x3c00],
    [-2, 0xc000, 0xc000],
    [1000, 0x447a, 0x63d0],
    // Halfway between two neighbours: to the even one.
    [1 + 2 ** -8, 0x3f80, 0x3c04],
    [1 + 3 * 2 ** -8, 0x3f82, 0x3c0c],
    [1 + 2 ** -11, 0x3f80, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3f80, 0x3c02],
    // Up to the next power of two.
    [2 - 2 ** -12, 0x4000, 0x4000],
    // The largest of float16, what rounds beyond it, its smallest normal and subnormal.
    [65504, 0x4780, 0x7bff],
    [65520, 0x4780, 0x7c00],
    [2 ** -14, 0x3880, 0x0400],
    [2 ** -24, 0x3380, 0x0001],
    [2 ** -25, 0x3300, 0x0000],
    [Number.POSITIVE_INFINITY, 0x7f80, 0x7c00],
    [Number.NEGATIVE_INFINITY, 0xff80, 0xfc00],
  ];
  for (const [value, brain, half] of cases) {
    assert.equal(bfloat16Bits(value).toString(16), brain.toString(16), `bfloat16 of ${value}`);
    assert.equal(float16Bits(value).toString(16), half.toString(16), `float16 of ${value}`);
  }
  assert.equal(bfloat16Bits(Number.NaN) & 0x7fff, 0x7fc0);
  assert.equal(float16Bits(Number.NaN) & 0x7fff, 0x7e00);
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pino } from 'pino';
import { OutOfMemory } from '../src/contract/errors.js';
import type { RenderItem } from '../src/contract/job.js';
import { createBatchCeilings, renderInBatches } from '../src/gpu/batches.js';
import { TransformerConfig } from '../src/gpu/checkpoint/configs.js';
import { type BatchMemory, imagesThatFit, transformerBatchMemory } from '../src/gpu/engine/batch-memory.js';
import type { EngineHost } from '../src/gpu/host.js';
import { emojiHost } from './support/engine.js';
import { MemoryEngine } from './support/memory-engine.js';
import { FIXTURES, TINY_KLEIN } from './support/references.js';
import { scratchFolder } from './support/scratch.js';

const folder = scratchFolder();
const log = pino({ level: 'silent' });

describe('what an image takes of a GPU', () => {
  const { transformer } = JSON.parse(readFileSync(join(FIXTURES, 'flux2-klein-9b.json'), 'utf8'));
  const config = TransformerConfig.parse(transformer.config);
  const of = (compute: 'bfloat16' | 'float16', freeBytes: number): BatchMemory => ({
    freeBytes,
    ...transformerBatchMemory(config, { textTokens: 512, compute }),
  });
  const bytesOf = (memory: BatchMemory, side: number) =>
    memory.imageBytes + (side / 16) ** 2 * memory.tokenBytes;

  test('of the 9B shape: its formula, less than all that a batch was measured to take with its decoding', () => {
    const memory = of('bfloat16', 0);
    // d = 4096, i = 12288: 14 d + 5 i values of 2 bytes, latents of 128 channels.
    assert.equal(memory.tokenBytes, (14 * 4096 + 5 * 12_288) * 2 + 12 * 128);
    assert.equal(memory.imageBytes, 512 * ((14 * 4096 + 5 * 12_288) * 2 + 6 * 12_288));
    // On an H100 in use: 43.51 GB with one image of 1024², 57.53 GB with two; of 512², 59.07 GB with 8, 70.41 GB with 10.
    assert.ok(bytesOf(memory, 1024) < 57.53e9 - 43.51e9);
    assert.ok(bytesOf(memory, 512) < (70.41e9 - 59.07e9) / 2);
    assert.ok(of('float16', 0).tokenBytes > memory.tokenBytes, 'float16 keeps its sums in float32');
  });

  test('fits as often as there is room for, and once where there is none', () => {
    const one = bytesOf(of('bfloat16', 0), 512);
    const fits = (freeBytes: number) =>
      imagesThatFit(of('bfloat16', freeBytes), { width: 512, height: 512, unit: 16 });
    assert.deepEqual([0, one - 1, one, 2 * one - 1, 2 * one, 10 * one].map(fits), [1, 1, 1, 1, 2, 10]);
  });
});

describe('a first batch', () => {
  const items = (count: number, side = 64): RenderItem[] =>
    Array.from({ length: count }, (_, index) => ({
      index,
      seed: index,
      prompt: 'a dog',
      width: side,
      height: side,
      steps: 1,
    }));

  /** A host whose device has so much memory, and which draws at most so many at a time. */
  function scene(batchMemory: BatchMemory | undefined, atMost = Number.POSITIVE_INFINITY) {
    const tried: number[] = [];
    const hello = { model: { digest: '0'.repeat(64), unit: 16 }, device: 'cuda:0', batchMemory };
    const host = {
      ready: async () => hello,
      async render({ items }: Parameters<EngineHost['render']>[0]) {
        tried.push(items.length);
        if (items.length > atMost) throw new OutOfMemory('as the test told');
        return items.map((item) => ({
          ...item,
          pixels: Buffer.alloc(0),
          stages: { textMs: 0, denoiseMs: 0, decodeMs: 0 },
          modelDigest: hello.model.digest,
        }));
      },
    } as unknown as EngineHost;
    return { host, tried };
  }

  const perImage = { imageBytes: 100, tokenBytes: 25 };
  // 64² are 16 tokens of 16² pixels: 500 bytes an image.

  for (const [what, freeBytes, asked, expected] of [
    ['is as large as what is free allows', 1999, 7, [3, 3, 1]],
    ['is as large as it is asked for, where all fit', 5000, 7, [7]],
    ['is one image, where the estimate has room for none', 499, 2, [1, 1]],
  ] as const) {
    test(what, async () => {
      const { host, tried } = scene({ freeBytes, ...perImage });
      const ceilings = createBatchCeilings(join(folder, `${freeBytes}.json`));
      const images = await renderInBatches({ host, ceilings, log }, { items: items(asked) });
      assert.deepEqual(
        images.map(({ index }) => index),
        items(asked).map(({ index }) => index),
      );
      assert.deepEqual(tried, expected);
    });
  }

  test('is no larger than what is known to fit, though more was planned', async () => {
    const { host, tried } = scene({ freeBytes: 4000, ...perImage }, 4);
    const ceilings = createBatchCeilings(join(folder, 'known.json'));
    await renderInBatches({ host, ceilings, log }, { items: items(9) });
    await renderInBatches({ host, ceilings, log }, { items: items(9) });
    assert.deepEqual(tried, [8, 4, 4, 1, 4, 4, 1]);
  });

  test('is what is asked for, on a device without memory of its own', async () => {
    const { host, tried } = scene(undefined);
    const ceilings = createBatchCeilings(join(folder, 'cpu.json'));
    await renderInBatches({ host, ceilings, log }, { items: items(40) });
    assert.deepEqual(tried, [40]);
  });
});

test('an engine says at its greeting what is free beside its weights; one on the CPU does not', async () => {
  await using cpu = emojiHost();
  assert.equal((await cpu.ready()).batchMemory, undefined);
  const totalBytes = 512 * 2 ** 20;
  const engine = await MemoryEngine.spawn(TINY_KLEIN, folder, { totalBytes });
  try {
    const { hello } = await engine.greet();
    // Three components, each in one piece of the driver's least size.
    assert.equal(hello.batchMemory?.freeBytes, totalBytes - 3 * 2 * 2 ** 20);
    const config = TransformerConfig.parse(
      JSON.parse(readFileSync(join(TINY_KLEIN, 'transformer', 'config.json'), 'utf8')),
    );
    const { imageBytes, tokenBytes } = hello.batchMemory;
    const textTokens = hello.model.maxTokens;
    assert.deepEqual(
      { imageBytes, tokenBytes },
      transformerBatchMemory(config, { textTokens, compute: 'float32' }),
    );
  } finally {
    await engine.kill();
  }
});

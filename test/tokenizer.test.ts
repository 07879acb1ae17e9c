import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { CheckpointInvalid } from '../src/contract/errors.js';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { InputsThread } from '../src/gpu/engine/inputs-thread.js';
import { packLatents, rotaryTables } from '../src/gpu/engine/latents.js';
import { normalNoise } from '../src/gpu/engine/noise.js';
import { loadTokenizer } from '../src/gpu/engine/tokenizer.js';
import { EMOJI, readJson, TINY_QWEN } from './support/references.js';

interface Encoded {
  prompt: string;
  ids: number[];
  mask: number[];
  count: number;
}

for (const [model, checkpoint, fixture] of [
  ['the bundled model', EMOJI, 'tokens.json'],
  ['a Qwen3, with its chat template', TINY_QWEN, 'tokens-qwen.json'],
] as const) {
  test(`prompts become the tokens that transformers makes of them, cut and padded alike: ${model}`, async () => {
    const opened = await openCheckpoint(checkpoint, { name: 'model', cacheFolder: tmpdir() });
    const tokenizer = await loadTokenizer(opened);
    const cases = readJson<Encoded[]>(fixture);
    assert.ok(cases.some(({ count }) => count > opened.card.maxTokens));
    for (const { prompt, ids, mask, count } of cases) {
      assert.deepEqual(tokenizer.encode(prompt), { ids, mask }, prompt);
      assert.equal(tokenizer.count(prompt), count, prompt);
    }
  });
}

describe("the thread that makes what an engine's renders start from", () => {
  const open = (folder: string) => openCheckpoint(folder, { name: 'model', cacheFolder: tmpdir() });

  test('encodes as the tokenizer does, whatever is asked before it is ready', async () => {
    const checkpoint = await open(TINY_QWEN);
    const thread = new InputsThread(checkpoint);
    try {
      const prompts = readJson<Encoded[]>('tokens-qwen.json').map(({ prompt }) => prompt);
      const early = thread.encode(prompts);
      await thread.ready();
      const tokenizer = await loadTokenizer(checkpoint);
      const expected = prompts.map((prompt) => tokenizer.encode(prompt));
      assert.deepEqual(await early, expected);
      assert.deepEqual(await thread.encode(prompts.slice(1, 3)), expected.slice(1, 3));
    } finally {
      await thread.close();
    }
  });

  test('draws the noise of each image by itself, and computes the places of its tokens', async () => {
    const checkpoint = await open(TINY_QWEN);
    const thread = new InputsThread(checkpoint);
    try {
      const { config } = checkpoint.transformer;
      const channels = config.in_channels;
      const noise = await thread.noise({ seeds: [7, 1], tokens: 6, channels });
      const expected = [7, 1].map((seed) => packLatents(normalNoise(seed, 6 * channels), channels));
      assert.deepEqual(noise, Float32Array.from(expected.flatMap((values) => [...values])));
      assert.deepEqual(
        await thread.rotary({ config, textTokens: 5, rows: 2, columns: 3 }),
        rotaryTables(config, 5, 2, 3),
      );
    } finally {
      await thread.close();
    }
  });

  test('says what is wrong with a tokenizer, and fails what waits for it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tdiff-tokenizer-'));
    try {
      await cp(TINY_QWEN, folder, { recursive: true });
      const checkpoint = await open(folder);
      await writeFile(join(folder, 'tokenizer', 'tokenizer.json'), '{}');
      const thread = new InputsThread(checkpoint);
      const waiting = assert.rejects(thread.encode(['a dog']), /its thread has ended/);
      await assert.rejects(
        thread.ready(),
        (error: unknown) =>
          error instanceof CheckpointInvalid && /tokenizer\.json: not a tokenizer/.test(error.message),
      );
      await waiting;
      await assert.rejects(thread.encode(['a cat']), /its thread has ended/);
      await thread.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('fails what waits for it when it is closed', async () => {
    const thread = new InputsThread(await open(TINY_QWEN));
    await thread.ready();
    const waiting = assert.rejects(thread.encode(['an owl '.repeat(100_000)]), /its thread has ended/);
    await thread.close();
    await waiting;
  });
});

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
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

import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { loadTokenizer } from '../src/gpu/engine/tokenizer.js';
import { EMOJI, readJson } from './support/references.js';

interface Encoded {
  prompt: string;
  ids: number[];
  mask: number[];
  count: number;
}

test('prompts become the tokens that transformers makes of them, cut and padded alike', async () => {
  const tokenizer = await loadTokenizer(
    await openCheckpoint(EMOJI, { name: 'emoji', cacheFolder: tmpdir() }),
  );
  const cases = readJson<Encoded[]>('tokens.json');
  assert.ok(cases.some(({ count }) => count > 32));
  for (const { prompt, ids, mask, count } of cases) {
    assert.deepEqual(tokenizer.encode(prompt), { ids, mask }, prompt);
    assert.equal(tokenizer.count(prompt), count, prompt);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalNoise } from '../src/gpu/engine/noise.js';
import { readJson } from './support/references.js';

interface Draws {
  seed: number;
  length: number;
  at: Record<string, number>;
  sum: number;
}

test("noise is torch's own, for every seed and length that was recorded", () => {
  const cases = readJson<Draws[]>('noise.json');
  assert.equal(cases.length, 30);
  for (const { seed, length, at, sum } of cases) {
    const values = normalNoise(seed, length);
    assert.equal(values.length, length);
    for (const [index, expected] of Object.entries(at)) {
      const difference = Math.abs((values[Number(index)] ?? Number.NaN) - expected);
      assert.ok(difference <= 1e-6, `seed ${seed}, length ${length}, element ${index}: off by ${difference}`);
    }
    const total = values.reduce((all, value) => all + value, 0);
    assert.ok(
      Math.abs(total - sum) <= 1e-6 * length,
      `seed ${seed}, length ${length}: sum off by ${total - sum}`,
    );
  }
});

test('fewer than 16 numbers are refused: torch draws them in another way', () => {
  assert.throws(() => normalNoise(1, 15), /at least 16, got 15/);
});

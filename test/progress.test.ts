import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { createProgress } from '../src/cli/progress.js';

/** What a stream was given, as a terminal or as anything else. */
function recorder(isTTY: boolean) {
  const given: Buffer[] = [];
  const through = new PassThrough().on('data', (chunk: Buffer) => given.push(chunk));
  const stream = Object.assign(through, { isTTY }) as unknown as NodeJS.WriteStream;
  return {
    stream,
    async text() {
      await setImmediate();
      return String(Buffer.concat(given));
    },
  };
}

const update = (index: number, step: number) => ({ index, seed: 7 + index, step, of: 2, attempt: 1 });

test('a pipe gets a line a step', async () => {
  const { stream, text } = recorder(false);
  const progress = createProgress(stream, 2);
  progress.note('installing');
  for (const step of [0, 1, 2]) progress.step(update(1, step));
  progress.end();
  assert.equal(
    await text(),
    'installing\nimage 2 of 2, seed 8: started\nimage 2 of 2, seed 8: step 1 of 2\nimage 2 of 2, seed 8: step 2 of 2\n',
  );
});

test('a terminal gets a line an image, drawn over at each step, that notes do not run into', async () => {
  const { stream, text } = recorder(true);
  const progress = createProgress(stream, 1);
  progress.step(update(0, 0));
  progress.step(update(0, 1));
  progress.note('waiting');
  progress.step(update(0, 2));
  progress.end();
  progress.end();
  assert.equal(
    await text(),
    '\rseed 7 ░░ started\rseed 7 █░ step 1 of 2\nwaiting\n\rseed 7 ██ step 2 of 2\n',
  );
});

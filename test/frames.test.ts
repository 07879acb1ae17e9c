import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeFrame, readFrames } from '../src/gpu/frames.js';

async function* chunksOf(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

async function collect(chunks: AsyncIterable<Buffer>) {
  const frames = [];
  for await (const frame of readFrames(chunks)) frames.push(frame);
  return frames;
}

test('frames arrive whole, however the stream was cut', async () => {
  const body = Buffer.from(Array.from({ length: 300 }, (_, index) => index % 256));
  const stream = Buffer.concat([
    ...encodeFrame({ n: 1 }, body),
    ...encodeFrame({ text: 'grüße 🍕' }),
    ...encodeFrame({ n: 3 }, body.subarray(7)),
  ]);
  for (const size of [1, 2, 7, 8, 9, 64, stream.length]) {
    assert.deepEqual(
      await collect(chunksOf(stream, size)),
      [
        { header: { n: 1 }, body },
        { header: { text: 'grüße 🍕' }, body: Buffer.alloc(0) },
        { header: { n: 3 }, body: body.subarray(7) },
      ],
      `chunks of ${size}`,
    );
  }
});

test('a stream that ends in the middle of a frame, is too large, or no JSON is an error', async () => {
  const whole = Buffer.concat(encodeFrame({ n: 1 }, Buffer.alloc(10)));
  await assert.rejects(collect(chunksOf(whole.subarray(0, -1), 8)), /middle of a frame/);
  await assert.rejects(collect(chunksOf(Buffer.alloc(8, 0xff), 8)), /frame too large/);
  const noJson = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0x7b]);
  await assert.rejects(collect(chunksOf(noJson, 9)), SyntaxError);
});

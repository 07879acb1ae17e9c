import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { OutOfMemory } from '../src/contract/errors.js';
import type { RenderItem } from '../src/contract/job.js';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { decodeLatents, imagesAtATime, mostPixels } from '../src/gpu/engine/decode.js';
import { openPipeline, type Pipeline } from '../src/gpu/engine/pipeline.js';
import { blendTiles, tileSizes } from '../src/gpu/engine/tiles.js';
import { openCpuRuntime } from '../src/gpu/runtime/onnxruntime-cpu.js';
import { floatTensor, type HeldTensor, type Runtime, type Session } from '../src/gpu/runtime/session.js';
import { FIXTURES, levelDifference, readFloats, TINY_QWEN } from './support/references.js';

/** What "agrees with diffusers" means for pixels. */
const LEVELS = 2;

let cacheFolder: string;
before(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), 'tdiff-tiles-'));
});
after(() => rm(cacheFolder, { recursive: true }));

/** A device whose VAE decoder has no memory for more than `limit` tokens at a time; `runs` says what it was asked. */
function crampedRuntime(limit: number): { runtime: Runtime; runs: number[][] } {
  const runtime = openCpuRuntime(2);
  const runs: number[][] = [];
  return {
    runs,
    runtime: {
      ...runtime,
      memory: () => ({ freeBytes: 0, totalBytes: 0 }),
      async open(graphs) {
        const sessions = await runtime.open(graphs);
        return sessions.map((session, index) => {
          if (graphs[index]?.component !== 'vae') return session;
          return {
            ...session,
            async run(inputs) {
              const [batch = 0, rows = 0, columns = 0] = inputs.latents?.dims ?? [];
              runs.push([batch, rows, columns]);
              if (batch * rows * columns > limit)
                throw new OutOfMemory(`no memory for ${rows}×${columns} tokens`);
              return session.run(inputs);
            },
          };
        });
      },
    },
  };
}

async function withPipeline<T>(runtime: Runtime, use: (pipeline: Pipeline) => Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint(TINY_QWEN, { name: 'klein', cacheFolder });
  const pipeline = await openPipeline(checkpoint, runtime, cacheFolder);
  try {
    return await use(pipeline);
  } finally {
    await pipeline.close();
  }
}

/** One batch, 72×56 each: 9 columns and 7 rows of tokens. */
function render(pipeline: Pipeline, items: readonly Partial<RenderItem>[], latents?: Float32Array) {
  return pipeline.render(
    items.map((item, index) => ({
      index,
      prompt: 'a red heart',
      seed: 7,
      width: 72,
      height: 56,
      steps: 3,
      ...item,
    })),
    { onStep: () => {}, signal: new AbortController().signal, ...(latents && { latents }) },
  );
}

async function draw(...batch: Parameters<typeof render>) {
  return (await render(...batch)).map(({ pixels }) => pixels);
}

const reference = join('tiny-qwen-reference', 'odd');

/** Zeros. */
const tensor = (dims: readonly number[]): HeldTensor => ({
  dims,
  read: async () => floatTensor(new Float32Array(dims.reduce((product, side) => product * side)), dims),
  reshaped: tensor,
  release() {},
});

describe('a VAE decoder that has too little memory', () => {
  test('for a picture decodes it in the tiles that diffusers would make, blended alike', async () => {
    const { runtime, runs } = crampedRuntime(16);
    const initial = readFloats(reference, 'initial_latents.bin');
    const [image] = await withPipeline(runtime, (pipeline) => render(pipeline, [{}], initial));
    assert.equal(image?.inTiles, true);
    const { pixels } = image;
    const expected = readFileSync(join(FIXTURES, reference, 'pixels_in_tiles.bin'));
    const difference = levelDifference(pixels, expected);
    assert.ok(difference <= LEVELS, `pixels differ by ${difference} levels`);
    // Tiles change a picture: a test that compared the wrong one would fail.
    assert.ok(levelDifference(expected, readFileSync(join(FIXTURES, reference, 'pixels.bin'))) > LEVELS);
    // The whole one at first, then after each of three pauses.
    assert.deepEqual(runs, [
      ...new Array(4).fill([1, 7, 9]),
      ...[4, 4, 1].flatMap((rows) => [4, 4, 3].map((columns) => [1, rows, columns])),
    ]);
  });

  test('is remembered until the device’s memory was given back', async () => {
    const { runtime, runs } = crampedRuntime(16);
    const tries = () => runs.splice(0).filter(([, rows]) => rows === 7).length;
    await withPipeline(runtime, async (pipeline) => {
      await draw(pipeline, [{}]);
      assert.equal(tries(), 4);
      await draw(pipeline, [{}]);
      assert.equal(tries(), 1);
      await pipeline.release();
      await pipeline.resume();
      await draw(pipeline, [{}]);
      assert.equal(tries(), 4);
    });
  });

  test('for a batch decodes its pictures one by one, to the same pixels', async () => {
    const { runtime, runs } = crampedRuntime(63);
    const items = [{ seed: 1 }, { seed: 2 }, { seed: 3 }];
    const alone = await withPipeline(runtime, (pipeline) => render(pipeline, items));
    assert.deepEqual(
      alone.map(({ inTiles }) => inTiles),
      [false, false, false],
    );
    const oneByOne = alone.map(({ pixels }) => pixels);
    const together = await withPipeline(openCpuRuntime(2), (pipeline) => draw(pipeline, items));
    for (const [index, pixels] of oneByOne.entries()) {
      assert.ok(levelDifference(pixels, together[index] ?? new Uint8Array()) <= LEVELS);
    }
    assert.deepEqual(runs, [
      [3, 7, 9],
      [1, 7, 9],
      [1, 7, 9],
      [1, 7, 9],
    ]);
  });

  /** A decoder that has room for whole images from its `tries`th try on; a token is a pixel. */
  function decoderWithRoomAt(tries: number): { decoder: Session; runs: number[][] } {
    const runs: number[][] = [];
    const decoder: Session = {
      async run({ latents }) {
        const [images = 0, rows = 0, columns = 0] = latents?.dims ?? [];
        runs.push([images, rows, columns]);
        if (rows === 8 && runs.length < tries) throw new OutOfMemory('no room');
        const dims = [images, rows, columns, 3];
        const data = new Uint8Array(images * rows * columns * 3).fill(7);
        const pixels = { ...tensor(dims), read: async () => ({ type: 'uint8', dims, data }) as const };
        return { pixels, image: tensor(dims) };
      },
      async ready() {},
      async warmUp() {},
    };
    return { decoder, runs };
  }
  const shape = { batch: 1, rows: 8, columns: 8, channels: 1, unit: 1, inParts: true, mostPixels: 1e6 };
  const latents = (batch = 1) => tensor([batch, 64, 1]);

  test('for a moment only is asked again, and decodes the picture whole', async () => {
    const { decoder, runs } = decoderWithRoomAt(3);
    const { inTiles, pixels } = await decodeLatents(decoder, latents(), shape, { pausesMs: [1, 1, 1] });
    assert.equal(inTiles.size, 0);
    assert.deepEqual(pixels, new Uint8Array(192).fill(7));
    assert.deepEqual(runs, new Array(3).fill([1, 8, 8]));
  });

  test('for good is waited for once', async () => {
    const { decoder, runs } = decoderWithRoomAt(Number.POSITIVE_INFINITY);
    const memory = { roomless: Number.POSITIVE_INFINITY };
    const whole = () => runs.filter(([, rows]) => rows === 8).length;
    const two = { ...shape, batch: 2 };
    const { inTiles } = await decodeLatents(decoder, latents(2), two, { pausesMs: [1, 1], memory });
    assert.deepEqual([...inTiles], [0, 1]);
    // The batch, the first image thrice, the second one once.
    assert.equal(whole(), 5);
    await decodeLatents(decoder, latents(), shape, { pausesMs: [1, 1], memory });
    assert.equal(whole(), 6);
  });

  test('is not waited for where the whole process has too little', async () => {
    const { decoder, runs } = decoderWithRoomAt(2);
    const two = { ...shape, batch: 2, inParts: false, mostPixels: 64 };
    const { inTiles } = await decodeLatents(decoder, latents(2), two, { pausesMs: [1e8] });
    assert.deepEqual([...inTiles], [0]);
    assert.deepEqual(runs[0], [1, 8, 8]);
  });

  test('is not waited for by whom nobody wants any more', async () => {
    const { decoder, runs } = decoderWithRoomAt(Number.POSITIVE_INFINITY);
    const cancel = new AbortController();
    const decoded = decodeLatents(decoder, latents(), shape, { pausesMs: [1e8], signal: cancel.signal });
    setImmediate(() => cancel.abort(new Error('enough')));
    await assert.rejects(decoded, /enough/);
    assert.deepEqual(runs, [[1, 8, 8]]);
  });

  test('for the smallest tile says so', async () => {
    const { runtime } = crampedRuntime(15);
    await assert.rejects(
      withPipeline(runtime, (pipeline) => draw(pipeline, [{}])),
      (error: unknown) => error instanceof OutOfMemory && error.message.includes('4×4 tokens'),
    );
  });
});

describe('a VAE decoder whose kernels count in 32 bits', () => {
  /** What a decoder is asked for that can take `mostPixels` at a time, of pixels that are 2×2 a token. */
  async function asked(
    batch: number,
    rows: number,
    columns: number,
    mostPixels: number,
  ): Promise<number[][]> {
    const runs: number[][] = [];
    const decoder: Session = {
      async run({ latents }) {
        const [images = 0, height = 0, width = 0] = latents?.dims ?? [];
        runs.push([images, height, width]);
        const dims = [images, height * 2, width * 2, 3];
        const data = new Uint8Array(images * height * width * 12);
        const pixels = { ...tensor(dims), read: async () => ({ type: 'uint8', dims, data }) as const };
        return { pixels, image: tensor(dims) };
      },
      async ready() {},
      async warmUp() {},
    };
    const shape = { batch, rows, columns, channels: 1, unit: 2, inParts: false, mostPixels };
    const { pixels, inTiles } = await decodeLatents(decoder, tensor([batch, rows * columns, 1]), shape);
    assert.equal(pixels.length, batch * rows * columns * 12);
    assert.equal(
      inTiles.size > 0,
      runs.some(([, height = 0]) => height < rows),
    );
    return runs;
  }

  test('is asked for no more than that', async () => {
    assert.deepEqual(await asked(3, 4, 4, 192), [[3, 4, 4]]);
    assert.deepEqual(await asked(3, 4, 4, 191), [
      [1, 4, 4],
      [1, 4, 4],
      [1, 4, 4],
    ]);
    assert.deepEqual(
      await asked(1, 8, 8, 255),
      [4, 4, 2].flatMap((rows) => [4, 4, 2].map((columns) => [1, rows, columns])),
    );
  });

  test('is warmed up for what it is asked for', () => {
    const shape = { rows: 4, columns: 4, unit: 2 };
    assert.equal(imagesAtATime({ ...shape, batch: 3, mostPixels: 192 }), 3);
    assert.equal(imagesAtATime({ ...shape, batch: 3, mostPixels: 191 }), 1);
    assert.equal(imagesAtATime({ ...shape, batch: 3, mostPixels: 63 }), 0);
  });

  test('takes 7 pictures of 1024² at a time, with the blocks of FLUX.2', () => {
    const most = mostPixels([128, 256, 512, 512]);
    assert.ok(7 * 1024 ** 2 <= most && most < 8 * 1024 ** 2, `${most}`);
  });
});

describe('tiles', () => {
  test('are halved, in steps that a quarter of them divides', () => {
    assert.deepEqual(tileSizes(64, 64), [32, 16, 8, 4]);
    assert.deepEqual(tileSizes(30, 90), [44, 20, 8, 4]);
    assert.deepEqual(tileSizes(7, 7), []);
  });

  test('that agree where they overlap leave no seam, whatever the size of the picture', async () => {
    // A picture whose value is a function of the place: every tile decodes its part of it rightly.
    const valueAt = (x: number, y: number, channel: number) => Math.sin(x / 7 + channel) * Math.cos(y / 5);
    for (const [rows, columns, size] of [
      [9, 13, 4],
      [16, 8, 8],
      [5, 31, 12],
      [25, 4, 20],
    ] as const) {
      const unit = 2;
      const pixels = await blendTiles({ rows, columns, unit, size }, async (tile) => {
        const [height, width] = [tile.rows * unit, tile.columns * unit];
        return Float32Array.from({ length: height * width * 3 }, (_, index) => {
          const [channel, place] = [index % 3, Math.floor(index / 3)];
          const [x, y] = [place % width, Math.floor(place / width)];
          return valueAt(tile.column * unit + x, tile.row * unit + y, channel);
        });
      });
      const expected = Uint8Array.from({ length: rows * columns * unit * unit * 3 }, (_, index) => {
        const [channel, place] = [index % 3, Math.floor(index / 3)];
        const width = columns * unit;
        return Math.round((valueAt(place % width, Math.floor(place / width), channel) * 0.5 + 0.5) * 255);
      });
      assert.ok(levelDifference(pixels, expected) <= 1, `${rows}×${columns} in ${size}`);
    }
  });
});

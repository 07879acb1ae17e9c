import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import type { RenderItem } from '../src/contract/job.js';
import { loadPipeline, type Pipeline, type RenderedItem, type Trace } from '../src/gpu/engine/pipeline.js';
import {
  EMOJI,
  FIXTURES,
  levelDifference,
  readFloats,
  readJson,
  relativeDifference,
  TINY_KLEIN,
  TINY_QWEN,
} from './support/references.js';

/** What "agrees with diffusers" means, in float32. */
const RELATIVE = 1e-3;
const LEVELS = 2;

let cacheFolder: string;
before(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), 'tdiff-parity-'));
});
after(() => rm(cacheFolder, { recursive: true }));

function load(checkpoint: string): Promise<Pipeline> {
  return loadPipeline({ checkpoint, model: 'parity', device: 'cpu', threads: 2, cacheFolder });
}

/** Renders, and compares every intermediate with the reference of that folder. */
async function assertParity(
  pipeline: Pipeline,
  items: readonly RenderItem[],
  reference: string,
  latentsOfStep: (step: number) => Float32Array | undefined,
  latents?: Float32Array,
): Promise<RenderedItem[]> {
  const seen: string[] = [];
  const assertClose = (what: string, values: Float32Array, expected: Float32Array) => {
    seen.push(what);
    const difference = relativeDifference(values, expected);
    assert.ok(difference <= RELATIVE, `${reference}: ${what} differs by ${difference}`);
  };
  const trace: Trace = {
    onPromptEmbeds: (values) =>
      assertClose('prompt_embeds', values, readFloats(reference, 'prompt_embeds.bin')),
    onInitialLatents: (values) =>
      assertClose('initial_latents', values, readFloats(reference, 'initial_latents.bin')),
    onVelocity: (step, values) =>
      assertClose(`velocity_${step}`, values, readFloats(reference, `velocity_${step}.bin`)),
    onLatents: (step, values) => {
      const expected = latentsOfStep(step);
      if (expected) assertClose(`latents_${step}`, values, expected);
    },
  };
  const images = await pipeline.render(
    items,
    { onStep: () => {}, signal: new AbortController().signal, ...(latents && { latents }) },
    trace,
  );
  const steps = items[0]?.steps ?? 0;
  assert.equal(seen.filter((what) => what.startsWith('velocity')).length, steps);
  assert.ok(
    seen.includes('prompt_embeds') && seen.includes('initial_latents') && seen.includes(`latents_${steps}`),
  );
  return images;
}

describe('the bundled model agrees with diffusers', () => {
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await load(EMOJI);
  });
  after(() => pipeline.close());

  interface Case {
    prompt: string;
    seed: number;
    width: number;
    height: number;
  }
  for (const name of ['case1', 'case2', 'case4']) {
    const folder = join('emoji-reference', name);
    const { prompt, seed, width, height } = readJson<Case>(folder, 'case.json');
    const item = { index: 0, prompt, seed, width, height, steps: 4 };
    const latentsOfStep = (step: number) => readFloats(folder, `latents_${step}.bin`);
    for (const given of ['latents', 'seed'] as const) {
      test(`"${prompt}" at ${width}², given the reference's ${given}`, async () => {
        const latents = given === 'latents' ? readFloats(folder, 'initial_latents.bin') : undefined;
        const [image] = await assertParity(pipeline, [item], folder, latentsOfStep, latents);
        const picture = readFileSync(join(FIXTURES, folder, 'image.png'));
        const reference = await sharp(picture).removeAlpha().raw().toBuffer();
        const difference = levelDifference(image?.pixels ?? new Uint8Array(), reference);
        assert.ok(difference <= LEVELS, `pixels differ by ${difference} levels`);
      });
    }
  }

  test('a picture of a batch is the picture that its seed gives alone', async () => {
    const seeds = [3, 4_294_967_295, 0];
    const itemOf = (seed: number, index: number) => ({
      index,
      seed,
      prompt: ['a red heart', 'an owl', 'a dog'][index] ?? '',
      width: 128,
      height: 64,
      steps: 4,
    });
    const hooks = { onStep: () => {}, signal: new AbortController().signal };
    const together = await pipeline.render(seeds.map(itemOf), hooks);
    for (const [index, seed] of seeds.entries()) {
      const [alone] = await pipeline.render([itemOf(seed, index)], hooks);
      const pixels = together[index]?.pixels ?? new Uint8Array();
      const difference = levelDifference(pixels, alone?.pixels ?? new Uint8Array());
      assert.ok(difference <= LEVELS, `seed ${seed}: pixels differ by ${difference} levels`);
    }
  });
});

/** Renders what diffusers rendered in that folder, as one batch. */
async function assertCase(pipeline: Pipeline, reference: string): Promise<void> {
  interface Case {
    prompts: string[];
    seeds: number[];
    width: number;
    height: number;
    steps: number;
  }
  const { prompts, seeds, width, height, steps } = readJson<Case>(reference, 'case.json');
  const items = prompts.map((prompt, index) => ({
    index,
    prompt,
    seed: seeds[index] ?? 0,
    width,
    height,
    steps,
  }));
  const last = readFloats(reference, 'latents.bin');
  const images = await assertParity(pipeline, items, reference, (step) =>
    step === steps ? last : undefined,
  );
  const pixels = Buffer.concat(images.map((image) => image.pixels));
  const difference = levelDifference(pixels, readFileSync(join(FIXTURES, reference, 'pixels.bin')));
  assert.ok(difference <= LEVELS, `${reference}: pixels differ by ${difference} levels`);
}

test('a checkpoint of other shapes in every respect agrees with diffusers', async () => {
  // Sharded bf16 transformer, fp16 VAE with attention and post_quant_conv, float32 text encoder, a chat template
  // that adds words, dynamic shifting, a prompt that is cut, two images of 64×40.
  const pipeline = await load(TINY_KLEIN);
  try {
    await assertCase(pipeline, 'tiny-klein-reference');
  } finally {
    await pipeline.close();
  }
});

describe('a checkpoint of the classes of FLUX.2-klein agrees with diffusers', () => {
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await load(TINY_QWEN);
  });
  after(() => pipeline.close());

  for (const [name, what] of [
    ['odd', 'one image of 72×56'],
    ['batch', 'three of 40×40: a prompt, none, and one that is cut'],
    ['wide', 'two of 128×24, prompts of several bytes a letter'],
  ] as const) {
    test(what, () => assertCase(pipeline, join('tiny-qwen-reference', name)));
  }
});

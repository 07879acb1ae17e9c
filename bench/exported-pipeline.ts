import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { z } from 'zod';
import { packLatents } from '../src/gpu/engine/latents.js';
import { normalNoise } from '../src/gpu/engine/noise.js';

const BatchNorm = z.object({ mean: z.array(z.number()), std: z.array(z.number()) });
const Generation = z.object({ sigmas: z.array(z.number()), max_sequence_length: z.number() });

/** The bundled model as torch exports it (`tools/train/export_onnx.py`): what the graphs that we build are measured against. */
export interface ExportedPipeline {
  /** @returns 8-bit RGB */
  render(
    prompt: { ids: readonly number[]; mask: readonly number[] },
    size: number,
    seed: number,
  ): Promise<Uint8Array>;
}

export async function loadExportedPipeline(folder: string, threads: number): Promise<ExportedPipeline> {
  const session = (component: string) =>
    InferenceSession.create(join(folder, component, 'model.onnx'), {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      graphOptimizationLevel: 'all',
      // Without it ONNX Runtime rewrites the arithmetic of int8 weights.
      extra: { session: { disable_quant_qdq: '1' } },
    });
  const textEncoder = await session('text_encoder');
  const transformer = await session('transformer');
  const decoder = await session('vae_decoder');
  const json = async (file: string) => JSON.parse(await readFile(join(folder, file), 'utf8')) as unknown;
  const batchNorm = BatchNorm.parse(await json('vae_decoder/latents_bn.json'));
  const generation = Generation.parse(await json('generation.json'));
  const channels = batchNorm.mean.length;
  const length = generation.max_sequence_length;

  return {
    async render({ ids, mask }, size, seed) {
      const side = size / 16;
      const tokens = side * side;
      const embedded = await textEncoder.run({
        input_ids: integers(ids, [1, length]),
        attention_mask: integers(mask, [1, length]),
      });
      const latents = packLatents(normalNoise(seed, tokens * channels), channels);
      const imageIds = Array.from({ length: tokens }, (_, token) => [
        0,
        Math.floor(token / side),
        token % side,
        0,
      ]);
      const textIds = Array.from({ length }, (_, token) => [0, 0, 0, token]);
      const sigmas = [...generation.sigmas, 0];
      for (let step = 0; step < generation.sigmas.length; step++) {
        const [sigma = 0, next = 0] = [sigmas[step], sigmas[step + 1]];
        const { out_sample: velocity } = await transformer.run({
          hidden_states: floats(latents, [1, tokens, channels]),
          encoder_hidden_states: embedded.prompt_embeds as Tensor,
          timestep: floats(Float32Array.of(sigma), [1]),
          img_ids: integers(imageIds.flat(), [1, tokens, 4]),
          txt_ids: integers(textIds.flat(), [1, length, 4]),
        });
        const change = velocity?.data as Float32Array;
        for (let index = 0; index < latents.length; index++) {
          latents[index] = (latents[index] ?? 0) + (next - sigma) * (change[index] ?? 0);
        }
      }
      const unpacked = unpatchify(latents, side, batchNorm);
      const { sample } = await decoder.run({
        latent_sample: floats(unpacked, [1, channels / 4, 2 * side, 2 * side]),
      });
      return toPixels(sample?.data as Float32Array, size);
    },
  };
}

function unpatchify(
  latents: Float32Array,
  side: number,
  { mean, std }: z.output<typeof BatchNorm>,
): Float32Array {
  const channels = mean.length;
  const out = new Float32Array(latents.length);
  const width = 2 * side;
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      for (let channel = 0; channel < channels; channel++) {
        const value =
          (latents[(row * side + column) * channels + channel] ?? 0) * (std[channel] ?? 1) +
          (mean[channel] ?? 0);
        const [plane, y, x] = [channel >> 2, 2 * row + ((channel >> 1) & 1), 2 * column + (channel & 1)];
        out[(plane * width + y) * width + x] = value;
      }
    }
  }
  return out;
}

function toPixels(sample: Float32Array, size: number): Uint8Array {
  const plane = size * size;
  const pixels = new Uint8Array(3 * plane);
  for (let place = 0; place < plane; place++) {
    for (let channel = 0; channel < 3; channel++) {
      const unit = Math.min(1, Math.max(0, (sample[channel * plane + place] ?? 0) / 2 + 0.5));
      pixels[3 * place + channel] = Math.round(255 * unit);
    }
  }
  return pixels;
}

function floats(data: Float32Array, dims: readonly number[]): Tensor {
  return new Tensor('float32', data, dims);
}

function integers(values: readonly number[], dims: readonly number[]): Tensor {
  return new Tensor('int64', BigInt64Array.from(values, BigInt), dims);
}

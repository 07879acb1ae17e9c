import type { GenerationConfig } from '../checkpoint/configs.js';

/** A small picture: 8-bit RGB, rows from the top, an eighth of the image's width and height. */
export interface Preview {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

export interface PreviewInput {
  /** Packed latents of one image after a step, [tokens, channels]. */
  readonly latents: Float32Array;
  /** The velocity that led there. */
  readonly velocity: Float32Array;
  /** The noise level that is left. */
  readonly sigma: number;
  /** Tokens a row. */
  readonly columns: number;
}

/** Pixels of a patch: 2 × 2, three channels each. */
const PATCH = 2;

/**
 * What the image would be if the last velocity held to the end (x − σ·v), through a linear projection from latents to
 * colours: good enough to see where it goes, at the cost of nothing.
 */
export function drawPreview(
  projection: NonNullable<GenerationConfig['preview']>,
  { latents, velocity, sigma, columns }: PreviewInput,
): Preview {
  const channels = projection.weights[0]?.length ?? 0;
  const tokens = latents.length / channels;
  const width = columns * PATCH;
  const height = (tokens / columns) * PATCH;
  const pixels = new Uint8ClampedArray(width * height * 3);
  for (let token = 0; token < tokens; token++) {
    for (const [output, row] of projection.weights.entries()) {
      let value = projection.bias[output] ?? 0;
      for (let channel = 0; channel < channels; channel++) {
        const place = token * channels + channel;
        value +=
          (row[channel] as number) * ((latents[place] as number) - sigma * (velocity[place] as number));
      }
      const pixel = Math.floor(output / 3);
      const y = Math.floor(token / columns) * PATCH + Math.floor(pixel / PATCH);
      const x = (token % columns) * PATCH + (pixel % PATCH);
      pixels[(y * width + x) * 3 + (output % 3)] = value;
    }
  }
  return { width, height, pixels: new Uint8Array(pixels.buffer) };
}

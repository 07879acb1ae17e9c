import type { TransformerConfig } from '../checkpoint/configs.js';

/**
 * diffusers draws latents as [C, h, w] and packs them to [h × w, C], a token a 2×2 patch.
 * @param noise C × h × w values, channels outermost
 */
export function packLatents(noise: Float32Array, channels: number): Float32Array {
  const tokens = noise.length / channels;
  const packed = new Float32Array(noise.length);
  for (let channel = 0; channel < channels; channel++) {
    for (let token = 0; token < tokens; token++) {
      packed[token * channels + channel] = noise[channel * tokens + token] as number;
    }
  }
  return packed;
}

/** Cosines and sines of every token's rotation, [tokens, head size / 2] each. */
export interface RotaryTables {
  readonly cos: Float32Array<ArrayBuffer>;
  readonly sin: Float32Array<ArrayBuffer>;
  readonly tokens: number;
}

/**
 * Rotary position tables of a prompt and an image: diffusers' `Flux2PosEmbed` over the ids that
 * `Flux2KleinPipeline` gives its tokens: (0, 0, 0, place) to text, (0, row, column, 0) to the image.
 * Angles are computed in float64 and rounded once, as diffusers does.
 */
export function rotaryTables(
  config: TransformerConfig,
  textTokens: number,
  rows: number,
  columns: number,
): RotaryTables {
  const tokens = textTokens + rows * columns;
  const half = config.attention_head_dim / 2;
  const cos = new Float32Array(tokens * half);
  const sin = new Float32Array(tokens * half);
  const frequencies = config.axes_dims_rope.flatMap((axisDim, axis) =>
    Array.from({ length: axisDim / 2 }, (_, index) => ({
      axis,
      frequency: 1 / config.rope_theta ** ((2 * index) / axisDim),
    })),
  );
  for (let token = 0; token < tokens; token++) {
    const image = token - textTokens;
    const ids = image < 0 ? [0, 0, 0, token] : [0, Math.floor(image / columns), image % columns, 0];
    for (const [column, { axis, frequency }] of frequencies.entries()) {
      const angle = (ids[axis] as number) * frequency;
      cos[token * half + column] = Math.cos(angle);
      sin[token * half + column] = Math.sin(angle);
    }
  }
  return { cos, sin, tokens };
}

import { z } from 'zod';
import type { TransformerConfig } from '../checkpoint/configs.js';
import type { ComputeType } from '../graph/builder.js';

/** What the first batch of a size is planned from: device memory that is free beside the weights, and what it is for. */
export const BatchMemory = z.strictObject({
  freeBytes: z.int().nonnegative(),
  /** What an image takes whatever its size. */
  imageBytes: z.int().nonnegative(),
  /** What it takes for each of its latent tokens, `unit` × `unit` pixels. */
  tokenBytes: z.int().positive(),
});
export type BatchMemory = z.infer<typeof BatchMemory>;

const BYTES: Readonly<Record<ComputeType, number>> = { float32: 4, float16: 2, bfloat16: 2 };

/**
 * What one more image takes of device memory while the transformer runs, estimated from above: everything that one
 * single block makes of it counts as live at the same time, and attention keeps no matrix of tokens × tokens.
 *
 * With d = heads × head size, i = ⌊d × mlp_ratio⌋, c bytes of the compute type, s of sums over layers (4 for float16,
 * else c), L text tokens and S latent tokens:
 *
 *     (L + S) × (3 d s + (11 d + 5 i) c) + S × 12 in_channels + L × (4 + c) joint_attention_dim
 *
 * - 3 d s: the tokens before and after the block, and their change times its gate;
 * - 11 d c: normed tokens; query, key and value; query and key normed, then rotated; what is attended, that in front of
 *   the joined input of `to_out`, and what `to_out` makes;
 * - 5 i c: the gate, silu of it, the hidden values, gated ones, and those in the joined input;
 * - latents, velocity and the next latents, float32; the prompt's embedding in float32 and in the compute type.
 *
 * The VAE does not count: it decodes image by image, then in tiles, where memory is short.
 */
export function transformerBatchMemory(
  config: TransformerConfig,
  { textTokens, compute }: { readonly textTokens: number; readonly compute: ComputeType },
): Omit<BatchMemory, 'freeBytes'> {
  const dim = config.num_attention_heads * config.attention_head_dim;
  const inner = Math.trunc(dim * config.mlp_ratio);
  const bytes = BYTES[compute];
  const sums = compute === 'float16' ? BYTES.float32 : bytes;
  const anyToken = 3 * dim * sums + (11 * dim + 5 * inner) * bytes;
  return {
    imageBytes: textTokens * (anyToken + (BYTES.float32 + bytes) * config.joint_attention_dim),
    tokenBytes: anyToken + 3 * BYTES.float32 * config.in_channels,
  };
}

/** How many images of a size fit at a time; 1 where the estimate leaves room for none: it errs on that side. */
export function imagesThatFit(
  { freeBytes, imageBytes, tokenBytes }: BatchMemory,
  { width, height, unit }: { readonly width: number; readonly height: number; readonly unit: number },
): number {
  const tokens = (width / unit) * (height / unit);
  return Math.max(1, Math.floor(freeBytes / (imageBytes + tokens * tokenBytes)));
}

import { z } from 'zod';
import { Seed } from './request.js';

/*
 * What `temporal-diffusion reproduce --json` prints. Fields are added in later releases, but none is taken away or given
 * another meaning while `version` is 1.
 */

/** How far two pictures are apart, over all channels of all pixels. */
export const PixelDifference = z.strictObject({
  /** The largest difference of any channel, in levels of 255. */
  maxLevels: z.int().min(0).max(255),
  meanLevels: z.number().nonnegative(),
  /** Peak signal-to-noise ratio in decibels; absent where they are identical. */
  psnr: z.number().optional(),
  /** Share of the pixels that differ in any channel, 0 to 1. */
  differing: z.number().min(0).max(1),
});
export type PixelDifference = z.infer<typeof PixelDifference>;

/** One thing that decides how a picture comes out. */
export const Condition = z.strictObject({
  /** `model digest`, `graph digest`, `device` and so on. */
  name: z.string(),
  /** Absent where it was not recorded. */
  recorded: z.string().optional(),
  here: z.string(),
  /** Absent where it was not recorded. */
  same: z.boolean().optional(),
});
export type Condition = z.infer<typeof Condition>;

/** A picture that was drawn again, and how it compares with the first one. */
export const ReproducedPicture = z.strictObject({
  /** The file, or where the job has stored it. */
  source: z.string(),
  prompt: z.string(),
  seed: Seed,
  verdict: z.enum(['identical', 'different']),
  /** SHA-256 of the raw pixels. */
  pixels: z.strictObject({ recorded: z.string(), drawn: z.string(), same: z.boolean() }),
  /**
   * Between the file and what was drawn; for a lossy format, after that was encoded in the same way. Absent where the
   * file could not be compared.
   */
  difference: PixelDifference.optional(),
  conditions: z.array(Condition),
  /** What else there is to say, such as why the file could not be compared. */
  notes: z.array(z.string()),
});
export type ReproducedPicture = z.infer<typeof ReproducedPicture>;

/** What came of drawing a job, or a picture, again. */
export const Reproduction = z.strictObject({
  version: z.literal(1),
  /** `different` where one picture is. */
  verdict: z.enum(['identical', 'different']),
  pictures: z.array(ReproducedPicture).min(1),
});
export type Reproduction = z.infer<typeof Reproduction>;

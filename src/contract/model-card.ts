import { z } from 'zod';
import { ModelName } from './request.js';

/** What a model can draw: read from its checkpoint, the measure for every request that names it. */
export const ModelCard = z.strictObject({
  name: ModelName,
  /** SHA-256 over every file of the checkpoint. */
  digest: z.string(),
  /** Width and height must be multiples of this many pixels. */
  unit: z.int().positive(),
  minSide: z.int().positive(),
  maxSide: z.int().positive(),
  defaultWidth: z.int().positive(),
  defaultHeight: z.int().positive(),
  defaultSteps: z.int().positive(),
  /** Whether `guidance` means anything to it. */
  guidance: z.boolean(),
  /** Prompts are cut after this many tokens, as diffusers does. */
  maxTokens: z.int().positive(),
});
export type ModelCard = z.infer<typeof ModelCard>;

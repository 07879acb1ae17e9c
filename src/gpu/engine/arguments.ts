import { z } from 'zod';
import { WeightOptions } from '../runtime/weight-options.js';
import { DeviceName } from './device-name.js';

/** What a host tells an engine at its start: one JSON argument, since an engine reads no environment. */
export const EngineArguments = z.strictObject({
  checkpoint: z.string(),
  model: z.string(),
  device: DeviceName,
  threads: z.int().positive(),
  cacheFolder: z.string(),
  weights: WeightOptions.optional(),
  /** The socket of a keeper, which may have the weights on the GPU already, or is just being started. */
  keeper: z.string().optional(),
  socket: z.string(),
  logLevel: z.string(),
  /** Whether it is made to be captured: it then has no parent that it could end with, until one wakes it. */
  capture: z.boolean().optional(),
});
export type EngineArguments = z.infer<typeof EngineArguments>;

import { z } from 'zod';

/** What a host tells an engine at its start: one JSON argument, since an engine reads no environment. */
export const EngineArguments = z.strictObject({
  checkpoint: z.string(),
  model: z.string(),
  device: z.literal('cpu'),
  threads: z.int().positive(),
  cacheFolder: z.string(),
  socket: z.string(),
  logLevel: z.string(),
});
export type EngineArguments = z.infer<typeof EngineArguments>;

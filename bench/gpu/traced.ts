import { z } from 'zod';

/** In the cache folder of a process that writes down its spans: see `traced-process.ts`. */
export const TRACED_FILE = 'traced.json';

export const Traced = z.object({
  /** Where spans go. */
  file: z.string(),
  /** Modules that make a process an engine, or a keeper. */
  engine: z.string(),
  keeper: z.string(),
});
export type Traced = z.infer<typeof Traced>;

/** A line of that file. Milliseconds since 1970. */
export const TracedSpan = z.object({
  who: z.enum(['engine', 'keeper']),
  name: z.string(),
  from: z.number(),
  to: z.number(),
  bytes: z.number().exactOptional(),
});
export type TracedSpan = z.infer<typeof TracedSpan>;

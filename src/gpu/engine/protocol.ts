import { z } from 'zod';
import { Versions } from '../../contract/attempts.js';
import { RenderItem, RenderStages, StepProgress } from '../../contract/job.js';
import { ModelCard } from '../../contract/model-card.js';
import { BatchMemory } from './batch-memory.js';

/**
 * What parent and engine say to each other over one Unix socket. Every message is a frame (see `../frames.ts`):
 * a JSON header that one of these schemas describes, then raw bytes where the message says so.
 * The engine listens and the parent connects, so that an engine can be captured with no connection open.
 */
export const PROTOCOL_VERSION = 3;

const RequestId = z.int().nonnegative();

/** Draw these items as one batch: they share width, height and steps. Answered by `step`s, one `image` an item, then `done`. */
const Render = z.strictObject({
  type: z.literal('render'),
  id: RequestId,
  items: z.array(RenderItem).min(1),
  /** Whether `step`s carry a small picture of what the image will be. */
  previews: z.boolean(),
  /** Whose render it is, such as its job: for log lines, and nothing else. */
  about: z.record(z.string(), z.string()).optional(),
});
/** Stop the render of that id before its next step; it is answered by `failed` with the code `Cancelled`. */
const Cancel = z.strictObject({ type: z.literal('cancel'), id: RequestId });
const StatsRequest = z.strictObject({ type: z.literal('stats'), id: RequestId });

/** Give the device's memory back, after the renders before it. Answered by `released`; until `resume` nothing is drawn. */
const Release = z.strictObject({ type: z.literal('release'), id: RequestId });
/**
 * Take it again. Answered by `resumed` as soon as there is room for the weights: renders wait for those that they need;
 * or by `failed` with `OutOfMemory`, and all is as it was.
 */
const Resume = z.strictObject({ type: z.literal('resume'), id: RequestId });

/**
 * Get ready to be captured, as soon as this connection is closed. Answered by `prepared`. Until it is woken the engine
 * then greets nobody.
 */
const Prepare = z.strictObject({ type: z.literal('prepare') });
/** First message to an engine that was restored: what it can't know by itself. Answered by `hello`. */
const Wake = z.strictObject({
  type: z.literal('wake'),
  /** When its restoring began, in milliseconds since 1970. */
  startedAt: z.number().nonnegative(),
  logLevel: z.string(),
  /** The socket of the keeper of its GPU's weights, which may just be starting. */
  keeper: z.string().optional(),
});

export const ParentMessage = z.discriminatedUnion('type', [
  Render,
  Cancel,
  StatsRequest,
  Release,
  Resume,
  Prepare,
  Wake,
]);
export type ParentMessage = z.infer<typeof ParentMessage>;

/** First message on every connection, once the model is loaded (and, after a restore, once it was woken). */
const Hello = z.strictObject({
  type: z.literal('hello'),
  protocol: z.literal(PROTOCOL_VERSION),
  /** As the engine sees itself; one that was captured is number 1 of its own namespace. */
  pid: z.int().positive(),
  /** No other engine's, also not that of one restored from the same snapshot. */
  instance: z.uuid(),
  start: z.enum(['fresh', 'restored']),
  versions: Versions,
  model: ModelCard,
  graphDigest: z.string(),
  device: z.string(),
  /** What its maker calls it. */
  deviceName: z.string(),
  /** Milliseconds from the start of the process, or of its restoring, until it could render. */
  loadMs: z.number().nonnegative(),
  /** As it was before the first run; absent where the device has no memory of its own. */
  batchMemory: BatchMemory.optional(),
});
export type Hello = z.infer<typeof Hello>;

/** Followed by the preview's width × height × 3 bytes, where there is one. */
const Step = z.strictObject({
  type: z.literal('step'),
  id: RequestId,
  ...StepProgress.shape,
  preview: z.strictObject({ width: z.int().positive(), height: z.int().positive() }).optional(),
});
/** Followed by width × height × 3 bytes: 8-bit RGB, rows from the top. */
const Image = z.strictObject({
  type: z.literal('image'),
  id: RequestId,
  index: z.int().nonnegative(),
  seed: z.int().nonnegative(),
  width: z.int().positive(),
  height: z.int().positive(),
  stages: RenderStages,
  /** Too little memory made it be decoded in tiles. */
  inTiles: z.literal(true).optional(),
});
const Done = z.strictObject({ type: z.literal('done'), id: RequestId });
/** `id` is absent where the engine itself can't go on: it ends after this message. */
const Failed = z.strictObject({
  type: z.literal('failed'),
  id: RequestId.optional(),
  /** The `type` of a `RenderError`, `Cancelled`, or `Internal`. */
  code: z.string(),
  message: z.string(),
});
const Stats = z.strictObject({
  type: z.literal('stats'),
  id: RequestId,
  rssBytes: z.int().nonnegative(),
  rendered: z.int().nonnegative(),
  /** Of the device, now; what the engine keeps for its next runs is not free. */
  deviceMemory: z
    .strictObject({ freeBytes: z.int().nonnegative(), totalBytes: z.int().nonnegative() })
    .optional(),
});
export type Stats = z.infer<typeof Stats>;
const Released = z.strictObject({
  type: z.literal('released'),
  id: RequestId,
  /** Of weights; 0 on the CPU, where they are mapped from their files and stay. */
  bytes: z.int().nonnegative(),
});
const Resumed = z.strictObject({
  type: z.literal('resumed'),
  id: RequestId,
  /** As in `hello`, now: others may have taken memory meanwhile. */
  batchMemory: BatchMemory.optional(),
});
const Prepared = z.strictObject({ type: z.literal('prepared') });

export const EngineMessage = z.discriminatedUnion('type', [
  Hello,
  Step,
  Image,
  Done,
  Failed,
  Stats,
  Released,
  Resumed,
  Prepared,
]);
export type EngineMessage = z.infer<typeof EngineMessage>;

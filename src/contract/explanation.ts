import { z } from 'zod';
import { DrawnBy, EngineRecord } from './attempts.js';
import { BatchImage } from './batch.js';
import { Milliseconds } from './job.js';
import { ImageFormat, OutputOptions, Tags } from './request.js';

/*
 * What `temporal-diffusion explain --json` prints. Fields are added in later releases, but none is taken away or given
 * another meaning while `version` is 1.
 */

/** Milliseconds since 1970. */
const Moment = z.number().nonnegative();
const Count = z.int().nonnegative();

/** Why something came to nothing, and what is done about it. */
export const ExplainedFailure = z.strictObject({
  /** A `RenderError`'s type; `Timeout`; or `Error`. */
  type: z.string(),
  message: z.string(),
  remedy: z.string().optional(),
});
export type ExplainedFailure = z.infer<typeof ExplainedFailure>;

/** One attempt at a task, or several in a row that were alike. */
export const ExplainedAttempt = z.strictObject({
  /** Numbers of the first and the last of them, from 1. */
  from: z.int().positive(),
  to: z.int().positive(),
  state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled']),
  /** By the server's clock for the last one, by its host's for those before. Absent where nothing tells. */
  startedAt: Moment.optional(),
  /** Of several, from the first one's start to the last one's end. */
  ms: Milliseconds.optional(),
  /** From the time that it could have begun until it did, without `coldStartMs`. */
  queueMs: Milliseconds.optional(),
  /** The part of the wait in which its engine was starting. 0: a warm one. Absent where no engine is known. */
  coldStartMs: Milliseconds.optional(),
  /** The machine's name. */
  host: z.string().optional(),
  engine: EngineRecord.optional(),
  /** How far it came, where it did not come to its end. */
  step: Count.optional(),
  of: z.int().positive().optional(),
  failure: ExplainedFailure.optional(),
});
export type ExplainedAttempt = z.infer<typeof ExplainedAttempt>;

/** How long the parts of what succeeded took; of what was drawn together, once for all. */
export const ExplainedStages = z.strictObject({
  /** Waiting for the engine after a host had taken the task. */
  engineMs: Milliseconds.optional(),
  textMs: Milliseconds.optional(),
  denoiseMs: Milliseconds.optional(),
  decodeMs: Milliseconds.optional(),
  encodeMs: Milliseconds.optional(),
  storeMs: Milliseconds.optional(),
});
export type ExplainedStages = z.infer<typeof ExplainedStages>;

/** One activity of the job. */
export const ExplainedTask = z.strictObject({
  /** Its run's place in `runs`. */
  run: Count,
  /** The event that it was scheduled by. */
  event: z.int().positive(),
  /** The activity's type, such as `generate` or `publish`. */
  type: z.string(),
  /** `timed-out` is never by its own fault: nobody was there to do it. */
  state: z.enum(['waiting', 'running', 'done', 'failed', 'cancelled', 'timed-out']),
  queue: z.string(),
  /** Indices of the images in the job. */
  images: z.array(Count),
  seeds: z.array(Count),
  scheduledAt: Moment,
  endedAt: Moment.optional(),
  attempts: z.array(ExplainedAttempt),
  stages: ExplainedStages.optional(),
});
export type ExplainedTask = z.infer<typeof ExplainedTask>;

/** A picture that was stored, and who drew it. */
export const ExplainedPicture = z.strictObject({
  ...BatchImage.shape,
  index: Count,
  prompt: z.string().optional(),
  format: ImageFormat.optional(),
  /** Its claim's: who drew it. Absent where an earlier release did. */
  drawnBy: DrawnBy.optional(),
});
export type ExplainedPicture = z.infer<typeof ExplainedPicture>;

/** One run of the workflow: a catalogue has several, one after the other. */
export const ExplainedRun = z.strictObject({
  runId: z.string(),
  status: z.enum([
    'running',
    'completed',
    'failed',
    'cancelled',
    'terminated',
    'timed-out',
    'continued-as-new',
  ]),
  startedAt: Moment,
  endedAt: Moment.optional(),
  events: Count,
});
export type ExplainedRun = z.infer<typeof ExplainedRun>;

const ImageRequest = z.strictObject({
  kind: z.literal('image'),
  prompt: z.string(),
  model: z.string(),
  modelDigest: z.string().optional(),
  width: z.int().optional(),
  height: z.int().optional(),
  steps: z.int().optional(),
  seed: Count,
  count: z.int().positive(),
  output: OutputOptions,
  /** The prompt's length in the model's tokens; those beyond its limit were cut off. */
  tokens: Count.optional(),
  truncated: z.boolean().optional(),
  tags: Tags,
  tenant: z.string(),
});
const BatchRequest = z.strictObject({
  kind: z.literal('batch'),
  items: Count,
  images: Count,
  models: z.array(z.string()),
  /** The first three that differ. */
  prompts: z.array(z.string()),
  maxBatch: z.int(),
  tags: Tags,
  tenant: z.string(),
});
const CatalogRequest = z.strictObject({
  kind: z.literal('catalog'),
  catalog: z.string(),
  template: z.string().optional(),
  maxBatch: z.int(),
  concurrency: z.int(),
  dryRun: z.boolean(),
  tenant: z.string(),
});
/** What was asked for. */
export const ExplainedRequest = z.discriminatedUnion('kind', [ImageRequest, BatchRequest, CatalogRequest]);
export type ExplainedRequest = z.infer<typeof ExplainedRequest>;

/** Something that somebody asked of the job while it ran. */
export const ExplainedMark = z.strictObject({ at: Moment, what: z.string() });
export type ExplainedMark = z.infer<typeof ExplainedMark>;

/** Sums over all tasks. */
export const ExplainedTotals = z.strictObject({
  /** Images that were drawn, also those that were drawn in vain. */
  drawn: Count,
  attempts: Count,
  failedAttempts: Count,
  /** Of all attempts whose wait is known. */
  queueMs: Milliseconds,
  coldStartMs: Milliseconds,
  ...ExplainedStages.required().shape,
});
export type ExplainedTotals = z.infer<typeof ExplainedTotals>;

/** What became of a job. */
export const Explanation = z.strictObject({
  version: z.literal(1),
  workflowId: z.string(),
  /** The last run's. */
  runId: z.string(),
  workflowType: z.string(),
  status: ExplainedRun.shape.status,
  startedAt: Moment,
  endedAt: Moment.optional(),
  /** From its start to its end, or until now. */
  ms: Milliseconds,
  request: ExplainedRequest,
  /** Why the job as a whole failed. */
  failure: ExplainedFailure.optional(),
  /** Items or rows that failed, where the others did not: the first ten. */
  failedItems: z.array(z.strictObject({ index: Count, failure: ExplainedFailure })),
  tasks: z.array(ExplainedTask),
  marks: z.array(ExplainedMark),
  pictures: z.array(ExplainedPicture),
  totals: ExplainedTotals,
  runs: z.array(ExplainedRun),
  /** What could not be told, and why. */
  notes: z.array(z.string()),
});
export type Explanation = z.infer<typeof Explanation>;

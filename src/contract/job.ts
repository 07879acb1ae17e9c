import { z } from 'zod';
import { AttemptRecord, DrawnBy, Versions } from './attempts.js';
import { type GenerateJob, ImageFormat, ModelName, OutputOptions, Prompt, Seed, Tags } from './request.js';

/** A length of time. */
export const Milliseconds = z.number().nonnegative();
const Digest = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in hex');

/** What `preparePrompt` makes of a request: everything decided, nothing drawn yet. */
export const RenderPlan = z.strictObject({
  model: ModelName,
  modelDigest: Digest,
  prompt: Prompt,
  width: z.int().positive(),
  height: z.int().positive(),
  steps: z.int().positive(),
  /** The prompt's length in the model's tokens, special ones included. */
  tokens: z.int().nonnegative(),
  /** Whether tokens beyond the model's limit were cut off. */
  truncated: z.boolean(),
});
export type RenderPlan = z.infer<typeof RenderPlan>;

/** What `preparePrompt` answers: the plan, and what the job needs of its request beside it, defaults filled in. */
export interface PreparedJob {
  readonly plan: RenderPlan;
  readonly settings: JobSettings;
}
/** What of a request is no part of its plan. */
export type JobSettings = Pick<
  GenerateJob,
  'seed' | 'count' | 'output' | 'preview' | 'tags' | 'tenant' | 'tenantWeight'
>;

/** One image to draw. */
export const RenderItem = z.strictObject({
  /** Its place in the job, from 0. */
  index: z.int().nonnegative(),
  prompt: Prompt,
  width: z.int().positive(),
  height: z.int().positive(),
  steps: z.int().positive(),
  seed: Seed,
});
export type RenderItem = z.infer<typeof RenderItem>;

/** How long the engine's stages took for one image (of a batch: for the whole batch). */
export const RenderStages = z.strictObject({
  textMs: Milliseconds,
  denoiseMs: Milliseconds,
  decodeMs: Milliseconds,
});
export type RenderStages = z.infer<typeof RenderStages>;

/** The same, with what came before the engine could begin. */
export const GenerateStages = z.strictObject({
  /**
   * From the time that the job asked for a GPU until one took it. Measured by the server's clock at one end and
   * the host's at the other: wrong by their difference.
   */
  queueMs: Milliseconds,
  /** Waiting for the engine to start and load the model; about 0 where it was warm. */
  engineMs: Milliseconds,
  ...RenderStages.shape,
});
export type GenerateStages = z.infer<typeof GenerateStages>;

/** Raw pixels that a host holds for its own `publish`: 8-bit RGB, rows from the top, no padding. */
export const PixelClaim = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9_-]{1,80}$/, 'expected a claim id'),
  /** The task queue of the host that has them. */
  hostQueue: z.string(),
  index: z.int().nonnegative(),
  seed: Seed,
  width: z.int().positive(),
  height: z.int().positive(),
  /** Of the raw pixels. */
  sha256: Digest,
  modelDigest: Digest,
  device: z.string(),
  /** Absent where an earlier release drew them. */
  drawnBy: DrawnBy.optional(),
  /** What became of the attempts before the one that drew them; with the first claim of what was drawn together. */
  earlier: z.array(AttemptRecord).optional(),
  stages: GenerateStages,
});
export type PixelClaim = z.infer<typeof PixelClaim>;

/** What `generate` draws: one batch. */
export const GenerateInput = z.strictObject({
  model: ModelName,
  /** Of the model that the job was planned for. */
  modelDigest: Digest,
  items: z.array(RenderItem).min(1).max(1000),
  /** Whether heartbeats carry previews, where the model has them. */
  preview: z.boolean().default(false),
  /** Whether the workflow hears of some steps: not in bulk, where each would cost four events of history. */
  signalled: z.boolean().default(true),
});
export type GenerateInput = z.infer<typeof GenerateInput>;

/** Step `step` of `of` of the image `index` is done; step 0: it has begun. */
export const StepProgress = z.strictObject({
  index: z.int().nonnegative(),
  seed: Seed,
  step: z.int().nonnegative(),
  of: z.int().positive(),
});
export type StepProgress = z.infer<typeof StepProgress>;

/** Heartbeat of `generate`. */
export const StepUpdate = z.strictObject({
  ...StepProgress.shape,
  /** What the image will be, an eighth of its width and height and at most 128²: a `data:` URL of a few hundred bytes. */
  preview: z.string().max(16_384).startsWith('data:image/').optional(),
});
export type StepUpdate = z.infer<typeof StepUpdate>;

/** Where one image of a job is. */
export const ImageProgress = z.strictObject({
  index: z.int().nonnegative(),
  seed: Seed,
  /** `waiting` for a GPU, `drawing`, `storing`, `stored`. */
  state: z.enum(['waiting', 'drawing', 'storing', 'stored']),
  /** Steps that are known to be done; the workflow hears of some only, see `STEP_SIGNALS`, and of none of a quick drawing. */
  step: z.int().nonnegative(),
  of: z.int().positive(),
});
export type ImageProgress = z.infer<typeof ImageProgress>;

/** Answer of the workflow's query `progress`. Empty while the job is being prepared. */
export const JobProgress = z.strictObject({ images: z.array(ImageProgress) });
export type JobProgress = z.infer<typeof JobProgress>;

/** A picture that is stored for good. */
export const PublishedImage = z.strictObject({
  index: z.int().nonnegative(),
  seed: Seed,
  /** Where it lies under its readable name. */
  url: z.string(),
  /** Where it lies under its content's digest. */
  blobUrl: z.string(),
  /** Of the stored file. */
  sha256: Digest,
  /** Of the raw pixels before encoding. */
  pixelsSha256: Digest,
  bytes: z.int().positive(),
  format: ImageFormat,
  width: z.int().positive(),
  height: z.int().positive(),
  device: z.string(),
  stages: z.strictObject({ ...GenerateStages.shape, encodeMs: Milliseconds, storeMs: Milliseconds }),
});
export type PublishedImage = z.infer<typeof PublishedImage>;

/** A finished job. */
export const GenerateResult = z.strictObject({
  workflowId: z.string(),
  runId: z.string(),
  plan: RenderPlan,
  images: z.array(PublishedImage).min(1),
  tags: Tags,
});
export type GenerateResult = z.infer<typeof GenerateResult>;

/** What a picture's metadata says of its making: enough to draw it again. */
export const Provenance = z.strictObject({
  software: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  model: ModelName,
  modelDigest: Digest,
  prompt: Prompt,
  width: z.int().positive(),
  height: z.int().positive(),
  steps: z.int().positive(),
  seed: Seed,
  device: z.string(),
  /** What its maker calls the device. This and what follows is absent from pictures of earlier releases. */
  deviceName: z.string().optional(),
  graphDigest: z.string().optional(),
  versions: Versions.optional(),
  /** Images that were drawn at once, this one among them. */
  together: z.int().positive().optional(),
  /** Too little memory made it be decoded in tiles, which changes a picture. */
  inTiles: z.literal(true).optional(),
  /** What it was encoded with; absent where that loses nothing. */
  quality: z.int().min(1).max(100).optional(),
  pixelsSha256: Digest,
  tags: Tags,
});
export type Provenance = z.infer<typeof Provenance>;

/** What `publish` stores: staged pixels, and what only the job knows of their making. */
export const PublishInput = z.strictObject({
  claim: PixelClaim,
  output: OutputOptions,
  origin: Provenance.pick({
    workflowId: true,
    runId: true,
    model: true,
    prompt: true,
    steps: true,
    tags: true,
  }),
});
export type PublishInput = z.infer<typeof PublishInput>;

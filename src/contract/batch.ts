import { z } from 'zod';
import { Milliseconds, PixelClaim, Provenance, PublishedImage } from './job.js';
import {
  GenerateRequest,
  ModelName,
  OutputOptions,
  Prompt,
  Seed,
  Tags,
  Tenant,
  TenantWeight,
} from './request.js';

/** More items, or more images of them all, are a catalogue: a batch travels through Temporal as a whole. */
export const MAX_BATCH_ITEMS = 1000;

/** Bytes of all items' JSON together. Temporal refuses payloads of 2 MiB; an item may grow on its way. */
export const MAX_BATCH_BYTES = 2 ** 20;

/**
 * Images that are drawn at once where nothing else is said. On a CPU more gain nothing; on a GPU, eight pictures of
 * 1024² are about what fits beside a model of 9 billion weights, and a single request waits for one batch at most.
 */
export const DEFAULT_MAX_BATCH = 8;

/** Images that are drawn at once, at most. What does not fit into a GPU's memory is halved there. */
export const MaxBatch = z.int().min(1).max(64);

/** One item of a batch: a request of its own. What concerns the job as a whole stands beside the items. */
export const BatchItem = GenerateRequest.omit({
  idempotencyKey: true,
  preview: true,
  tenant: true,
  tenantWeight: true,
});
export type BatchItem = z.output<typeof BatchItem>;

/** The same with its seed drawn. */
export const SeededItem = z.strictObject({ ...BatchItem.shape, seed: Seed });
export type SeededItem = z.output<typeof SeededItem>;

const settings = {
  maxBatch: MaxBatch.default(DEFAULT_MAX_BATCH),
  /** Every item's, beside its own. */
  tags: Tags.default({}),
  tenant: Tenant.default('default'),
  tenantWeight: TenantWeight.default(1),
  /** Two batches with the same key are one job, for as long as the server remembers it. */
  idempotencyKey: z.string().min(1).max(128).optional(),
};

const itemCount = `expected 1 to ${MAX_BATCH_ITEMS} items: render more as a catalogue`;

/** A batch as a caller writes it. Unknown fields are refused. */
export const BatchRequest = z
  .strictObject({
    items: z.array(BatchItem).min(1, itemCount).max(MAX_BATCH_ITEMS, itemCount),
    ...settings,
  })
  .superRefine(refuseTooLarge);
/** What a caller may write. */
export type BatchRequestInput = z.input<typeof BatchRequest>;
export type BatchRequest = z.output<typeof BatchRequest>;

/** The workflow's input: the same with all seeds drawn. */
export const BatchJob = z
  .strictObject({
    items: z.array(SeededItem).min(1, itemCount).max(MAX_BATCH_ITEMS, itemCount),
    ...settings,
  })
  .superRefine(refuseTooLarge);
export type BatchJob = z.output<typeof BatchJob>;

function refuseTooLarge(
  { items, tags }: { items: readonly BatchItem[]; tags: Tags },
  context: z.RefinementCtx,
): void {
  const images = items.reduce((sum, { count }) => sum + count, 0);
  if (images > MAX_BATCH_ITEMS) {
    const message = `expected at most ${MAX_BATCH_ITEMS} images of all items together, got ${images}: render more as a catalogue`;
    context.addIssue({ code: 'custom', path: ['items'], message });
  }
  const bytes = utf8Length(JSON.stringify(items));
  if (bytes > MAX_BATCH_BYTES) {
    const message = `expected at most ${MAX_BATCH_BYTES} bytes of items as JSON, got ${bytes}: render more as a catalogue`;
    context.addIssue({ code: 'custom', path: ['items'], message });
  }
  for (const [index, item] of items.entries()) {
    const together = Tags.safeParse({ ...tags, ...item.tags });
    for (const { message } of together.error?.issues ?? []) {
      context.addIssue({ code: 'custom', path: ['items', index, 'tags'], message });
    }
  }
}

/** The workflow sandbox has no Buffer. */
function utf8Length(text: string): number {
  let length = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    length += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return length;
}

/** Why one item came to nothing. */
export const ItemError = z.strictObject({
  /** A `RenderError`'s type, or `Error`. */
  type: z.string(),
  message: z.string(),
});
export type ItemError = z.infer<typeof ItemError>;

/** What images must share to be drawn at once. */
export const Shape = z.strictObject({
  model: ModelName,
  modelDigest: z.string(),
  width: z.int().positive(),
  height: z.int().positive(),
  steps: z.int().positive(),
});
export type Shape = z.infer<typeof Shape>;

/** What `prepareBatch` makes of the items. Prompts are left out: whoever asks has them. */
export const PreparedBatch = z.strictObject({
  shapes: z.array(Shape),
  /** One an item, in order. */
  items: z.array(
    z.union([
      /** Its shape's place in `shapes`, and whether tokens beyond the model's limit were cut off. */
      z.strictObject({ shape: z.int().nonnegative(), truncated: z.boolean() }),
      z.strictObject({ error: ItemError }),
    ]),
  ),
});
export type PreparedBatch = z.infer<typeof PreparedBatch>;

/** A stored picture of a batch or a catalogue. Shorter than a single job's: there are a thousand. */
export const BatchImage = PublishedImage.pick({
  seed: true,
  url: true,
  sha256: true,
  pixelsSha256: true,
  bytes: true,
  width: true,
  height: true,
});
export type BatchImage = z.infer<typeof BatchImage>;

/** What became of one item. */
export const BatchItemResult = z.discriminatedUnion('status', [
  z.strictObject({
    status: z.literal('done'),
    /** Its place in the request, from 0. */
    index: z.int().nonnegative(),
    images: z.array(BatchImage).min(1),
    truncated: z.boolean(),
  }),
  z.strictObject({ status: z.literal('failed'), index: z.int().nonnegative(), error: ItemError }),
]);
export type BatchItemResult = z.infer<typeof BatchItemResult>;

/** Answer of the query `progress`. */
export const BatchProgress = z.strictObject({
  items: z.int().nonnegative(),
  done: z.int().nonnegative(),
  failed: z.int().nonnegative(),
});
export type BatchProgress = z.infer<typeof BatchProgress>;

/** Answer of the query `finishedItems`: what finished next, in that order, and where everything is. */
export const BatchPage = z.strictObject({ ...BatchProgress.shape, finished: z.array(BatchItemResult) });
export type BatchPage = z.infer<typeof BatchPage>;

/** A finished batch. It ends well also where some items, or all, failed: each says so itself. */
export const BatchResult = z.strictObject({
  workflowId: z.string(),
  runId: z.string(),
  /** Whether some item failed. */
  partial: z.boolean(),
  /** In the order of the request. */
  items: z.array(BatchItemResult),
  /** Milliseconds that GPUs drew for it, as their hosts measured. */
  gpuMs: Milliseconds,
  tags: Tags,
});
export type BatchResult = z.infer<typeof BatchResult>;

/** What `publishMany` stores: staged pixels, and the pictures that are made of them. */
export const PublishManyInput = z.strictObject({
  claims: z.array(z.strictObject({ ...PixelClaim.shape, prompt: Prompt })).min(1),
  pictures: z.array(
    z.strictObject({
      /** Its place in the job: what the result is told by. */
      index: z.int().nonnegative(),
      /** Its pixels' place in `claims`. */
      claim: z.int().nonnegative(),
      output: OutputOptions,
      tags: Tags,
    }),
  ),
  origin: Provenance.pick({ workflowId: true, runId: true, model: true, steps: true }),
});
export type PublishManyInput = z.infer<typeof PublishManyInput>;

/** What became of one picture. */
export const PictureOutcome = z.union([
  z.strictObject({ index: z.int().nonnegative(), image: BatchImage }),
  z.strictObject({ index: z.int().nonnegative(), error: ItemError }),
]);
export type PictureOutcome = z.infer<typeof PictureOutcome>;

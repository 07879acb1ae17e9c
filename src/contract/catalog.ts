import { z } from 'zod';
import { BatchImage, DEFAULT_MAX_BATCH, ItemError, MaxBatch, Shape } from './batch.js';
import { Milliseconds } from './job.js';
import { GenerateRequest, OutputOptions, Prompt, Seed, Tags, Tenant, TenantWeight } from './request.js';

/** Rows that one catalogue may have. */
export const MAX_CATALOG_ROWS = 1_000_000;

/** Batches that are in flight at a time where nothing else is said: one drawn, one stored, two that wait for the next GPU. */
export const DEFAULT_CONCURRENCY = 4;

/** Batches of a catalogue that may be in flight. */
export const Concurrency = z.int().min(1).max(256);

/** Where a catalogue lies: `file:` or `s3:`, the name ending in `.jsonl` or `.csv` where `format` is left out. */
const CatalogUrl = z
  .string()
  .max(2048)
  .regex(/^(file|s3):\/\/./, 'expected the file: or s3: URL of a catalogue');

/** What rows leave out. */
const Defaults = z.strictObject({
  model: GenerateRequest.shape.model.unwrap().optional(),
  width: GenerateRequest.shape.width,
  height: GenerateRequest.shape.height,
  steps: GenerateRequest.shape.steps,
  guidance: GenerateRequest.shape.guidance,
  count: GenerateRequest.shape.count.unwrap().optional(),
  output: OutputOptions.optional(),
  tags: Tags.optional(),
});

/** A catalogue to render, as a caller writes it. Unknown fields are refused. */
export const CatalogRequest = z
  .strictObject({
    catalog: CatalogUrl,
    /** Default: what the name ends in. */
    format: z.enum(['jsonl', 'csv']).optional(),
    /**
     * A prompt with fields of the row in it, such as `{{product}} on a {{colour}} background`. Without one each row is
     * a request with its own `prompt`.
     */
    template: z.string().min(1).max(2000).optional(),
    defaults: Defaults.prefault({}),
    maxBatch: MaxBatch.default(DEFAULT_MAX_BATCH),
    /** Batches that are in flight at a time; about twice the GPUs that should work for it. */
    concurrency: Concurrency.default(DEFAULT_CONCURRENCY),
    tenant: Tenant.default('default'),
    tenantWeight: TenantWeight.default(1),
    /** Only says what would be drawn. */
    dryRun: z.boolean().default(false),
  })
  .refine(({ catalog, format }) => format !== undefined || formatOf(catalog) !== undefined, {
    path: ['format'],
    message: 'expected jsonl or csv, since the name of the catalogue ends in neither',
  });
/** What a caller may write. */
export type CatalogRequestInput = z.input<typeof CatalogRequest>;
export type CatalogRequest = z.output<typeof CatalogRequest>;

/** @returns undefined where the name tells nothing */
export function formatOf(catalog: string): 'jsonl' | 'csv' | undefined {
  const ending = /\.(jsonl|ndjson|csv)(?:\?|$)/i.exec(catalog)?.[1]?.toLowerCase();
  return ending === 'ndjson' ? 'jsonl' : (ending as 'jsonl' | 'csv' | undefined);
}

/** What tells two rows apart, and finds a row again in another run: 128 bits of a SHA-256, in hex. */
const RowDigest = z.string().regex(/^[0-9a-f]{32}$/, 'expected 128 bits in hex');
/** A row's number, from 1. */
const Row = z.int().min(1);

/** Where reading goes on. */
export const CatalogCursor = z.strictObject({
  /** In bytes. */
  offset: z.int().nonnegative(),
  /** Rows before it. */
  rows: z.int().nonnegative(),
  /** The header of a CSV. */
  columns: z.array(z.string()).optional(),
  /** Of the catalogue that this is a place in. */
  version: z.string().optional(),
});
export type CatalogCursor = z.infer<typeof CatalogCursor>;

/** What `readCatalogPage` is asked for. */
export const ReadPageInput = z.strictObject({
  request: CatalogRequest,
  cursor: CatalogCursor,
  /** Whatever is the same for a whole run, and another for the next. */
  run: z.string(),
});
export type ReadPageInput = z.infer<typeof ReadPageInput>;

/** A line of the results. A row's last line, over all shards in the order of their names, says what became of it. */
export const ResultLine = z.discriminatedUnion('status', [
  z.strictObject({
    row: Row,
    /** The row's own `id`, where it has one. */
    id: z.string().optional(),
    digest: RowDigest,
    status: z.literal('done'),
    images: z.array(BatchImage).min(1),
  }),
  z.strictObject({
    row: Row,
    id: z.string().optional(),
    digest: RowDigest,
    status: z.literal('failed'),
    error: ItemError,
  }),
]);
export type ResultLine = z.infer<typeof ResultLine>;

/** Rows that are alike, and have to be drawn. */
export const CatalogEntry = z.strictObject({
  rows: z.array(Row).min(1),
  ids: z.array(z.string()).optional(),
  digest: RowDigest,
  /** Its place in the page's `shapes`. */
  shape: z.int().nonnegative(),
  /** Its place in the page's `settings`. */
  setting: z.int().nonnegative(),
  prompt: Prompt,
  seed: Seed,
  count: z.int().min(1).max(16),
});
export type CatalogEntry = z.infer<typeof CatalogEntry>;

/** Images of one shape. */
export const ShapeCount = z.strictObject({ ...Shape.shape, images: z.int().nonnegative() });
export type ShapeCount = z.infer<typeof ShapeCount>;

/** What `readCatalogPage` found. */
export const CatalogPage = z.strictObject({
  cursor: CatalogCursor,
  isLast: z.boolean(),
  /** Bytes of the whole catalogue. */
  size: z.int().nonnegative(),
  shapes: z.array(Shape),
  settings: z.array(z.strictObject({ output: OutputOptions, tags: Tags })),
  entries: z.array(CatalogEntry),
  /** Rows whose result is there already, at this very row. */
  unchanged: z.int().nonnegative(),
  /** Results of rows that are refused, or whose picture is there under another number. */
  lines: z.array(ResultLine),
  /** In a dry run, in the place of entries. */
  counts: z.array(ShapeCount),
  /** The rows of `counts`. */
  counted: z.int().nonnegative(),
});
export type CatalogPage = z.infer<typeof CatalogPage>;

/** What `writeShard` writes down: what has become of some rows. */
export const WriteShardInput = z.strictObject({
  catalog: CatalogUrl,
  /** The shard's name without its ending. */
  name: z.string().regex(/^[A-Za-z0-9-]+$/),
  lines: z.array(ResultLine).min(1),
});
export type WriteShardInput = z.infer<typeof WriteShardInput>;

/** What GPUs needed for images of one shape. */
export const ShapeCost = z.strictObject({ ...ShapeCount.shape, gpuMs: Milliseconds });
export type ShapeCost = z.infer<typeof ShapeCost>;

/** What a run came to: `CATALOG.summary.json` beside the catalogue, and the workflow's result. */
export const CatalogSummary = z.strictObject({
  catalog: CatalogUrl,
  workflowId: z.string(),
  status: z.enum(['done', 'cancelled', 'dry-run']),
  startedAt: z.iso.datetime(),
  /** From the run's start to its end, pauses included. */
  seconds: z.number().nonnegative(),
  rows: z.int().nonnegative(),
  /** Rows that were drawn; in a dry run, that would be. */
  done: z.int().nonnegative(),
  failed: z.int().nonnegative(),
  /** Rows whose result was there already. */
  unchanged: z.int().nonnegative(),
  /** Rows whose picture was there already, under another row's number. */
  moved: z.int().nonnegative(),
  rowsPerSecond: z.number().nonnegative(),
  gpuSeconds: z.number().nonnegative(),
  /** What each kind of image has cost in this run, or where it drew none of it, in the last one that did. */
  costs: z.array(ShapeCost),
  /** Seconds that a run now would take, judged by the costs of earlier ones; absent where nothing is known. Dry runs only. */
  estimatedSeconds: z.number().nonnegative().optional(),
  /** A picture of some of the pictures; absent where there are none. */
  sheet: z.string().optional(),
});
export type CatalogSummary = z.infer<typeof CatalogSummary>;

/** What `finishCatalog` makes a summary and a contact sheet of. */
export const FinishInput = CatalogSummary.omit({ sheet: true, estimatedSeconds: true });
export type FinishInput = z.infer<typeof FinishInput>;

/** Answer of the query `progress`. */
export const CatalogProgress = z.strictObject({
  state: z.enum(['running', 'paused', 'ending']),
  /** Rows of the catalogue; guessed from its size until it is read to its end. */
  rows: z.int().nonnegative(),
  isGuess: z.boolean(),
  done: z.int().nonnegative(),
  failed: z.int().nonnegative(),
  /** Found done already. */
  unchanged: z.int().nonnegative(),
  /** Images that are being drawn or stored, or wait for a GPU. */
  inFlight: z.int().nonnegative(),
  concurrency: Concurrency,
  /** Of the last minutes. */
  rowsPerSecond: z.number().nonnegative(),
  /** Absent while nothing is known. */
  secondsLeft: z.number().nonnegative().optional(),
  gpuSeconds: z.number().nonnegative(),
});
export type CatalogProgress = z.infer<typeof CatalogProgress>;

/** What a run hands to the next one of its chain, so that no history grows without bound. */
export const CatalogState = z.strictObject({
  cursor: CatalogCursor,
  isRead: z.boolean(),
  size: z.int().nonnegative(),
  startedAt: z.int().positive(),
  run: z.string(),
  shards: z.int().nonnegative(),
  done: z.int().nonnegative(),
  failed: z.int().nonnegative(),
  unchanged: z.int().nonnegative(),
  moved: z.int().nonnegative(),
  costs: z.array(ShapeCost),
  isPaused: z.boolean(),
  concurrency: Concurrency,
});
export type CatalogState = z.infer<typeof CatalogState>;

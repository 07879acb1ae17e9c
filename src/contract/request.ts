import { z } from 'zod';

/** Seeds are unsigned 32-bit, as torch's CPU generator takes them. */
export const Seed = z.int().min(0).max(0xffff_ffff);

/**
 * Width or height in pixels. Every supported model's unit is a multiple of 16 (VAE ×8, patches of 2);
 * a model's own bounds are narrower and are checked by `preparePrompt`.
 */
const Side = z.int().min(64).max(4096).multipleOf(16);

/** A prompt after normalisation: Unicode NFC, white space and control characters folded to single spaces, trimmed. */
export const Prompt = z
  .string()
  .max(16_384, 'expected at most 2000 characters')
  .transform((text) =>
    text
      .normalize('NFC')
      .replace(/[\s\p{Cc}]+/gu, ' ')
      .trim(),
  )
  .pipe(
    z
      .string()
      .min(1, 'expected a prompt of 1 to 2000 characters, got an empty one')
      .refine((text) => [...text].length <= 2000, 'expected at most 2000 characters'),
  );

/** A model's name as workers announce it: part of a task queue's name. */
export const ModelName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'expected lower-case letters, digits, ".", "_" or "-"');

/** How a picture's file is encoded. */
export const ImageFormat = z.enum(['png', 'jpeg', 'webp', 'avif']);
export type ImageFormat = z.infer<typeof ImageFormat>;

/** How a picture is stored. `quality` is 1–100 and has no meaning for PNG. */
export const OutputOptions = z
  .strictObject({
    format: ImageFormat.default('png'),
    quality: z.int().min(1).max(100).optional(),
  })
  .refine((output) => !(output.format === 'png' && output.quality !== undefined), {
    path: ['quality'],
    message: 'PNG is lossless: leave quality out, or choose jpeg, webp or avif',
  });
export type OutputOptions = z.infer<typeof OutputOptions>;

/**
 * The caller's own marks. Bounded as a whole too: they travel through Temporal and must fit, beside the prompt,
 * the 64 KB that a JPEG has for its metadata.
 */
export const Tags = z
  .record(z.string().min(1).max(64), z.string().max(256))
  .refine((tags) => Object.keys(tags).length <= 32, 'expected at most 32 tags')
  .refine(
    (tags) => Object.entries(tags).reduce((sum, [key, value]) => sum + key.length + value.length, 0) <= 4096,
    'expected at most 4096 characters in all tags together',
  );
export type Tags = z.infer<typeof Tags>;

/** Who a job is for: tenants share the GPUs, see `contract/priority.ts`. A fairness key of Temporal's, which has 64 bytes. */
export const Tenant = z
  .string()
  .regex(/^[A-Za-z0-9._@:-]{1,64}$/, 'expected 1 to 64 letters, digits or . _ @ : -');

/** A tenant's share beside the others' of the same urgency: one of 2 gets twice what one of 1 gets. Temporal's own bounds. */
export const TenantWeight = z.number().min(0.001).max(1000);

const fields = {
  /** What to draw, 1–2,000 characters after normalisation. */
  prompt: Prompt,
  /** Which model draws it. */
  model: ModelName.default('emoji'),
  /** Pixels; the model's own default where absent. */
  width: Side.optional(),
  height: Side.optional(),
  /** Denoising steps; the model's own default where absent. */
  steps: z.int().min(1).max(100).optional(),
  /** Classifier-free or embedded guidance, only for models that have it. */
  guidance: z.number().min(0).max(30).optional(),
  /** Image i is drawn from seed + i, modulo 2³². */
  count: z.int().min(1).max(16).default(1),
  output: OutputOptions.prefault({}),
  /** Whether steps come with small pictures of what the image will be, where the model has them. */
  preview: z.boolean().default(false),
  /** They come back with the result and stand in the pictures' metadata. */
  tags: Tags.default({}),
  /** Who this is for. A service that lets others write requests sets both of these itself. */
  tenant: Tenant.default('default'),
  tenantWeight: TenantWeight.default(1),
  /** Two requests with the same key are one job, for as long as the server remembers it. */
  idempotencyKey: z.string().min(1).max(128).optional(),
};

/** A request for one prompt's images, as a caller writes it. Unknown fields are refused. */
export const GenerateRequest = z.strictObject({ ...fields, seed: Seed.optional() });
/** What a caller may write. */
export type GenerateRequestInput = z.input<typeof GenerateRequest>;
/** What the schema makes of it, defaults filled in. */
export type GenerateRequest = z.output<typeof GenerateRequest>;

/** The workflow's input: the same with the seed drawn, so that history holds it before anything runs. */
export const GenerateJob = z.strictObject({ ...fields, seed: Seed });
/** What other clients than ours may write. */
export type GenerateJobInput = z.input<typeof GenerateJob>;
export type GenerateJob = z.output<typeof GenerateJob>;

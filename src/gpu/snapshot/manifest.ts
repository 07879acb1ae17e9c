import { z } from 'zod';
import { ModelName } from '../../contract/request.js';
import { WeightOptions } from '../runtime/weight-options.js';

const Digest = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256 in hex');
const Bytes = z.int().nonnegative();

export const FileFacts = z.strictObject({ bytes: Bytes, sha256: Digest });
export type FileFacts = z.infer<typeof FileFacts>;

/** What a snapshot was made of, and what must be the same where it is restored. */
export const SnapshotIdentity = z.strictObject({
  model: ModelName,
  modelDigest: Digest,
  /** The checkpoint's folder: the engine has its weights mapped from there. */
  checkpoint: z.string(),
  device: z.string(),
  threads: z.int().positive(),
  /** How its weights get to a GPU. */
  weights: WeightOptions.nullable().default(null),
  /** Kernels were chosen for this one, and the driver has state of its own in the process. */
  gpu: z.strictObject({ name: z.string(), driver: z.string() }).nullable().default(null),
  versions: z.strictObject({ package: z.string(), node: z.string(), onnxruntime: z.string() }),
  /** Of the code that an engine has loaded, this package's and its dependencies'. */
  codeDigest: Digest,
  /** What the engine sees of the environment. */
  environment: z.record(z.string(), z.string()),
  /** Kernels were chosen, and machine code was made, for this one. */
  cpu: z.strictObject({ model: z.string(), flags: z.string() }),
  kernel: z.string(),
});
export type SnapshotIdentity = z.infer<typeof SnapshotIdentity>;

/** Stands beside a snapshot's images; a folder without one is no snapshot. */
export const SnapshotManifest = z.strictObject({
  format: z.literal(1),
  id: z.uuid(),
  capturedAt: z.iso.datetime(),
  identity: SnapshotIdentity,
  graphDigest: Digest,
  criu: z.string(),
  glibc: z.string(),
  /** None where it was made on the CPU. */
  gpu: z
    .strictObject({
      /** The very one that the engine was on. */
      uuid: z.string(),
      /**
       * Bytes of device memory that the engine has without its weights: it needs them before it can be woken. Absent
       * where the driver did not tell.
       */
      ownBytes: Bytes.optional(),
    })
    .nullable(),
  /** What the engine has mapped, by path. The dynamic loader and V8 hold pointers into these very files. */
  mappedFiles: z.record(z.string(), FileFacts),
  /** The images, by name. */
  images: z.record(z.string().regex(/^[\w.-]+$/), FileFacts),
  memory: z.strictObject({
    /** Bytes of the engine's memory that are no file's, when it was captured. */
    anonymousBytes: Bytes,
    /** Bytes that a restored engine maps, and reads when it needs them. */
    mappedBytes: Bytes,
    /** Bytes that are copied into a restored engine before it runs. */
    copiedBytes: Bytes,
  }),
});
export type SnapshotManifest = z.infer<typeof SnapshotManifest>;

/** Bytes of all images. */
export function sizeOf(manifest: SnapshotManifest): number {
  return Object.values(manifest.images).reduce((sum, { bytes }) => sum + bytes, 0);
}

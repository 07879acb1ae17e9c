import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const Seconds = z.number().nonnegative();

/** One timing of `torch_reference.py`: of a transformer step or of the whole pipeline. */
const TorchTiming = z.object({
  what: z.enum(['step', 'pipeline']),
  size: z.int(),
  batch: z.int(),
  median_ms: z.number(),
  min_ms: z.number(),
  max_ms: z.number(),
  runs: z.int(),
  first_s: Seconds,
  peak_reserved_bytes: z.number().optional(),
});
export type TorchTiming = z.infer<typeof TorchTiming>;

const Load = z.object({ interpreter_and_imports: Seconds, from_pretrained: Seconds, to_device: Seconds });

const ReferenceFile = z.object({
  tensors: z.record(z.string(), z.array(z.int())),
  machine: z.record(z.string(), z.union([z.string(), z.number(), z.null()])),
  load: Load,
  cold: Load.extend({ first_picture: Seconds, total: Seconds, size: z.int() }).optional(),
  numbers: z
    .array(
      z.object({
        size: z.int(),
        prompts: z.array(z.string()),
        steps: z.int(),
        /** What the model was told of each step's noise, as bfloat16 had rounded it; 0 to 1. */
        timesteps: z.array(z.number()),
      }),
    )
    .default([]),
  float32: z.object({ sizes: z.array(z.int()) }).optional(),
  eager: z.array(TorchTiming).default([]),
  'compile-blocks': z.array(TorchTiming).default([]),
  compile: z.array(TorchTiming).default([]),
  autotune: z.array(TorchTiming).default([]),
});
export type ReferenceFile = z.infer<typeof ReferenceFile>;

/** What `torch_reference.py` wrote. */
export class Reference {
  private constructor(
    private readonly folder: string,
    readonly file: ReferenceFile,
  ) {}

  static async open(folder: string): Promise<Reference> {
    const text = await readFile(join(folder, 'reference.json'), 'utf8');
    return new Reference(folder, ReferenceFile.parse(JSON.parse(text)));
  }

  /** Whether float32 made its part. */
  has(name: string): boolean {
    return this.file.tensors[name] !== undefined;
  }

  /** @param name such as `1024/velocity_bf16_1` */
  async floats(name: string): Promise<Float32Array> {
    const bytes = await this.bytes(name);
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  /** Aligned as a new array's are. */
  async bytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return Uint8Array.from(await readFile(join(this.folder, `${name}.bin`)));
  }
}

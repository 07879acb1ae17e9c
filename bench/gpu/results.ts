import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';

const Samples = z.array(z.number());

/** How far two sides are from each other, and each from float32 where that was made. */
const Distances = z.object({
  what: z.string(),
  size: z.int(),
  oursToTorch: z.number(),
  oursToFloat32: z.number().exactOptional(),
  torchToFloat32: z.number().exactOptional(),
});
export type Distances = z.infer<typeof Distances>;

/** Milliseconds of one transformer step. */
const StepTiming = z.object({ size: z.int(), batch: z.int(), samples: Samples });
export type StepTiming = z.infer<typeof StepTiming>;

/** Milliseconds of a whole batch, its steps alone among them, and the device memory that was in use at most. */
const BatchTiming = z.object({
  size: z.int(),
  batch: z.int(),
  samples: Samples,
  denoise: Samples,
  peakBytes: z.number().exactOptional(),
});
export type BatchTiming = z.infer<typeof BatchTiming>;

const Streaming = z.object({
  /** Of all three components' weights. */
  bytes: z.number(),
  /** How long each round took: from files to device memory, with nothing else going on. */
  milliseconds: Samples,
  /** Taking device memory for them, and giving it back. */
  resumeMs: z.number(),
  releaseMs: z.number(),
});
export type Streaming = z.infer<typeof Streaming>;

const Span = z.object({
  name: z.string(),
  from: z.number(),
  to: z.number(),
  bytes: z.number().exactOptional(),
});

/** A start that told what it was made of. Milliseconds since the process began. */
export const Start = z.object({ size: z.int(), firstPictureMs: z.number(), spans: z.array(Span) });
export type Start = z.infer<typeof Start>;

/** Milliseconds from asking for an engine to its greeting and to its first picture; then one more picture. */
const ColdStart = z.object({ readyMs: z.number(), firstPictureMs: z.number(), warmMs: z.number() });
export type ColdStart = z.infer<typeof ColdStart>;

const Card = z.object({
  name: z.string(),
  driver: z.string().optional(),
  cuda: z.string(),
  totalBytes: z.number(),
  /** Milliseconds that CUDA needed to begin. */
  initMs: z.number(),
  /** Bytes a second from pinned memory. */
  pinnedPeak: z.number(),
});

export const ResultsFile = z.object({
  card: Card.optional(),
  /** Seconds that it took to digest the checkpoint for the first time. */
  digestSeconds: z.number().optional(),
  streaming: Streaming.optional(),
  distances: z.array(Distances).optional(),
  steps: z.array(StepTiming).optional(),
  batches: z.array(BatchTiming).optional(),
  cold: z.array(ColdStart).optional(),
  start: Start.optional(),
  /** Of `outlive.ts`: samples by what was measured, milliseconds but where the name says otherwise. */
  figures: z.record(z.string(), Samples).optional(),
  /** By stage: why it has no figures, or not all. */
  failures: z.record(z.string(), z.string()).default({}),
});
export type Results = z.infer<typeof ResultsFile>;

/** What was measured so far, on disk after every stage: time on such a machine may end in the middle. */
export class ResultsStore {
  private constructor(
    private readonly file: string,
    readonly results: Results,
  ) {}

  /** Goes on with what is there already. */
  static async open(file: string): Promise<ResultsStore> {
    const text = await readFile(file, 'utf8').catch(() => '{}');
    await mkdir(dirname(file), { recursive: true });
    return new ResultsStore(file, ResultsFile.parse(JSON.parse(text)));
  }

  /** Of one thing, in the place of those that there were. */
  async setFigure(name: string, samples: readonly number[]): Promise<void> {
    await this.set({ figures: { ...this.results.figures, [name]: [...samples] } });
  }

  async set(changes: Partial<Results>): Promise<void> {
    Object.assign(this.results, changes);
    await writeFile(this.file, JSON.stringify(this.results));
  }

  /** Does a stage; where it fails, that is its result, and the others go on. */
  async stage(name: string, work: () => Promise<void>): Promise<void> {
    const began = performance.now();
    delete this.results.failures[name];
    try {
      await work();
    } catch (error) {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.results.failures[name] = reason;
      process.stderr.write(`${name} failed: ${reason}\n`);
    }
    await this.set({});
    process.stdout.write(`${name}: ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
  }
}

import type { Logger } from 'pino';
import type { RenderItem, RenderStages, StepProgress } from '../contract/job.js';
import type { Hello, Stats } from './engine/protocol.js';

export interface EngineHostOptions {
  /** The checkpoint's folder. */
  readonly checkpoint: string;
  /** The model's name, as requests and queues have it. */
  readonly model: string;
  readonly device: 'cpu';
  /** Where built graphs and digests are kept between lives. */
  readonly cacheFolder: string;
  /** Threads of the CPU runtime. Default: all that the machine offers. */
  readonly threads?: number;
  readonly log: Logger;
}

export interface RenderOptions {
  /** One batch: all share width, height and steps. */
  readonly items: readonly RenderItem[];
  readonly onStep?: (progress: StepProgress) => void;
  /** Aborting stops the render before its next step; `render` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface RenderedImage {
  readonly index: number;
  readonly seed: number;
  readonly width: number;
  readonly height: number;
  /** width × height × 3 bytes, 8-bit RGB, rows from the top. */
  readonly pixels: Buffer;
  readonly stages: RenderStages;
}

/**
 * The worker's side of one engine process: starts it at the first call, watches it, and starts another one
 * where it died. Renders one batch at a time; further calls wait.
 */
export interface EngineHost extends AsyncDisposable {
  /** Starts the engine if none runs. @throws CheckpointInvalid, EngineCrashed */
  ready(): Promise<Hello>;
  /** @throws the `RenderError` that the engine reports; EngineCrashed when it dies on the way */
  render(options: RenderOptions): Promise<RenderedImage[]>;
  stats(): Promise<Stats>;
  /** Ends the engine. Idempotent. */
  close(): Promise<void>;
}

export declare function createEngineHost(options: EngineHostOptions): EngineHost;

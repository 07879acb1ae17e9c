import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { GenerateResult, JobProgress } from '../contract/job.js';
import { PROGRESS_QUERY } from '../contract/workflow-types.js';
import { jobError } from './job-error.js';
import { type Setback, SetbackWatch } from './setbacks.js';
import { type JobUpdate, lookAt, StepCounter } from './updates.js';

export interface JobHandleOptions {
  readonly client: Client;
  readonly id: string;
  readonly runId: string;
  /** The first image's seed. */
  readonly seed: number;
  /** Milliseconds between two looks of `updates()`. */
  readonly pollMs: number;
}

/** What else a follower of a job is told. */
export interface UpdatesOptions {
  /** Told of what is tried again, such as a `publish` whose store is away. */
  readonly onSetback?: (setback: Setback) => void;
}

/** A job that was started: to follow, cancel and collect. */
export class JobHandle {
  /** The workflow's id; `DiffusionClient.job(id)` finds the job again. */
  readonly id: string;
  readonly runId: string;
  /** The first image's seed: the caller's, or the one that was drawn for this job. */
  readonly seed: number;
  readonly #client: Client;
  readonly #pollMs: number;

  /** @internal `DiffusionClient` makes them. */
  constructor({ client, id, runId, seed, pollMs }: JobHandleOptions) {
    this.id = id;
    this.runId = runId;
    this.seed = seed;
    this.#client = client;
    this.#pollMs = pollMs;
  }

  /**
   * Waits for the pictures.
   * @throws the `RenderError` that the job ended with; JobCancelled
   */
  async result(): Promise<GenerateResult> {
    try {
      return GenerateResult.parse(await this.#workflow().result());
    } catch (error) {
      throw jobError(error, this.id);
    }
  }

  /** Asks for the job to stop. It ends once its GPU is free and nothing is staged; pictures that are already stored remain. */
  async cancel(): Promise<void> {
    await this.#workflow().cancel();
  }

  /** Where every image is, as the workflow knows it: also when the job is over, as long as a worker runs. */
  async progress(): Promise<JobProgress> {
    return JobProgress.parse(await this.#workflow().query(PROGRESS_QUERY));
  }

  /**
   * Tells the steps of all images as they are done, each once; ends when the job does. What the job ended with is
   * told by `result()` only.
   */
  async *updates({ onSetback }: UpdatesOptions = {}): AsyncGenerator<JobUpdate, void> {
    const counter = new StepCounter();
    const setbacks = new SetbackWatch();
    for (;;) {
      const description = await this.#workflow().describe();
      for (const setback of setbacks.look(description)) onSetback?.(setback);
      for (const update of await lookAt(this.#client, description)) yield* counter.advance(update);
      if (description.status.name === 'COMPLETED') return yield* this.#remaining(counter);
      if (description.status.name !== 'RUNNING') return;
      await sleep(this.#pollMs);
    }
  }

  /** The steps that went by unseen. */
  async *#remaining(counter: StepCounter): AsyncGenerator<JobUpdate, void> {
    const { plan, images } = await this.result();
    for (const { index, seed } of images) {
      yield* counter.advance({ index, seed, step: plan.steps, of: plan.steps, attempt: 1 });
    }
  }

  #workflow() {
    return this.#client.workflow.getHandle(this.id, this.runId);
  }
}

import { randomInt, randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { BatchJob, BatchRequest, type BatchRequestInput } from '../contract/batch.js';
import { CatalogRequest, type CatalogRequestInput } from '../contract/catalog.js';
import { parse } from '../contract/parse.js';
import { BATCH, INTERACTIVE, priorityOf } from '../contract/priority.js';
import { DIFFUSION_QUEUE } from '../contract/queues.js';
import { type GenerateJob, GenerateRequest, type GenerateRequestInput } from '../contract/request.js';
import { GENERATE_BATCH, GENERATE_IMAGE } from '../contract/workflow-types.js';
import { BatchHandle } from './batch-handle.js';
import { CatalogHandle } from './catalog-handle.js';
import { CatalogSchedules } from './catalog-schedules.js';
import { JobHandle } from './job-handle.js';
import { type BatchMemo, batchMemoOf, type JobMemo, memoOf } from './job-memo.js';
import { requestDigest } from './request-digest.js';
import { startCatalog } from './start-catalog.js';
import { startOnce } from './start-once.js';

/** Where jobs go, and how often those that are followed are looked at. */
export interface DiffusionClientOptions {
  /** The queue of the workers that run our workflows. Default: `diffusion`. */
  readonly taskQueue?: string;
  /** Milliseconds between two looks at a job that is followed; each is one call to the server. Default: 100. */
  readonly pollMs?: number;
}

/** Starts, follows, cancels and collects image jobs, for services that have neither GPU nor worker. */
export class DiffusionClient {
  readonly #client: Client;
  readonly #taskQueue: string;
  readonly #pollMs: number;

  constructor(client: Client, { taskQueue = DIFFUSION_QUEUE, pollMs = 100 }: DiffusionClientOptions = {}) {
    this.#client = client;
    this.#taskQueue = taskQueue;
    this.#pollMs = pollMs;
  }

  /**
   * Starts a job. With an idempotency key that is known already it joins that job, while it runs or where it is done;
   * where it failed or was cancelled it starts it again.
   * @throws InvalidRequest before anything is sent where the request breaks the contract; where its key belongs to another request
   */
  async generate(input: GenerateRequestInput): Promise<JobHandle> {
    const request = parse(GenerateRequest, input);
    const seed = request.seed ?? randomInt(2 ** 32);
    const job: GenerateJob = { ...request, seed };
    const memo: JobMemo = { model: job.model, seed, count: job.count, requestDigest: requestDigest(request) };
    const id = `generate-image/${request.idempotencyKey ?? randomUUID()}`;
    const { runId, joined } = await startOnce(this.#client, {
      workflowType: GENERATE_IMAGE,
      workflowId: id,
      taskQueue: this.#taskQueue,
      job,
      memo,
      summary: summaryOf(job),
      priority: priorityOf(INTERACTIVE, job),
    });
    return this.#handle(id, runId, joined ? memoOf(joined).seed : seed);
  }

  /**
   * Starts a batch: up to 1,000 requests that may be drawn together. Its key is its own, not shared with `generate`.
   * @throws InvalidRequest as `generate` does
   */
  async batch(input: BatchRequestInput): Promise<BatchHandle> {
    const request = parse(BatchRequest, input);
    const items = request.items.map((item) => ({ ...item, seed: item.seed ?? randomInt(2 ** 32) }));
    // Drawn seeds are longer than none.
    const job = parse(BatchJob, { ...request, items });
    const memo: BatchMemo = { items: items.length, requestDigest: requestDigest(request) };
    const id = `generate-batch/${request.idempotencyKey ?? randomUUID()}`;
    const { runId } = await startOnce(this.#client, {
      workflowType: GENERATE_BATCH,
      workflowId: id,
      taskQueue: this.#taskQueue,
      job,
      memo,
      summary: `${items.length} items`,
      priority: priorityOf(BATCH, job),
    });
    return this.#batchHandle(id, runId, items.length);
  }

  /**
   * Finds a batch again.
   * @param id a `BatchHandle`'s
   * @throws InvalidRequest where it is the id of something else, WorkflowNotFoundError where it is nobody's
   */
  async batchJob(id: string): Promise<BatchHandle> {
    const description = await this.#client.workflow.getHandle(id).describe();
    return this.#batchHandle(id, description.runId, batchMemoOf(description).items);
  }

  /**
   * Finds a job again, for instance in another process than the one that started it.
   * @param id a `JobHandle`'s
   * @throws InvalidRequest where it is the id of something else, WorkflowNotFoundError where it is nobody's
   */
  async job(id: string): Promise<JobHandle> {
    const description = await this.#client.workflow.getHandle(id).describe();
    return this.#handle(id, description.runId, memoOf(description).seed);
  }

  /**
   * Renders a catalogue: every row that has no picture yet. While one is being rendered it is joined; a new run begins
   * where none is.
   * @throws InvalidRequest before anything is sent where the request breaks the contract; where the catalogue is being
   * rendered with other settings at the moment
   */
  async catalog(input: CatalogRequestInput): Promise<CatalogHandle> {
    const request = parse(CatalogRequest, input);
    const id = await startCatalog(this.#client, this.#taskQueue, request);
    return this.catalogJob(id);
  }

  /**
   * Finds a catalogue's run again.
   * @param id a `CatalogHandle`'s
   */
  catalogJob(id: string): CatalogHandle {
    return new CatalogHandle({ client: this.#client, id });
  }

  /** Runs of catalogues at fixed times. */
  get schedules(): CatalogSchedules {
    return new CatalogSchedules({ client: this.#client, taskQueue: this.#taskQueue });
  }

  #handle(id: string, runId: string, seed: number): JobHandle {
    return new JobHandle({ client: this.#client, id, runId, seed, pollMs: this.#pollMs });
  }

  #batchHandle(id: string, runId: string, size: number): BatchHandle {
    return new BatchHandle({ client: this.#client, id, runId, size, pollMs: this.#pollMs });
  }
}

/** One line for Temporal's UI. */
function summaryOf({ prompt, model, count, seed }: GenerateJob): string {
  const letters = [...prompt];
  const title = letters.length > 60 ? `${letters.slice(0, 60).join('')}…` : prompt;
  return `${title} · ${model} · ${count === 1 ? '' : `${count} images from `}seed ${seed}`;
}

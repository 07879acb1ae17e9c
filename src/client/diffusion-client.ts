import { randomInt, randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdConflictPolicy,
  WorkflowIdReusePolicy,
} from '@temporalio/common';
import { InvalidRequest } from '../contract/errors.js';
import { parse } from '../contract/parse.js';
import { DIFFUSION_QUEUE } from '../contract/queues.js';
import { type GenerateJob, GenerateRequest, type GenerateRequestInput } from '../contract/request.js';
import { GENERATE_IMAGE } from '../contract/workflow-types.js';
import { JobHandle } from './job-handle.js';
import { type JobMemo, memoOf } from './job-memo.js';
import { requestDigest } from './request-digest.js';

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
    const workflowId = `generate-image/${request.idempotencyKey ?? randomUUID()}`;
    try {
      const { firstExecutionRunId } = await this.#client.workflow.start(GENERATE_IMAGE, {
        workflowId,
        taskQueue: this.#taskQueue,
        args: [job],
        memo: { ...memo },
        staticSummary: summaryOf(job),
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.FAIL,
      });
      return this.#handle(workflowId, firstExecutionRunId, seed);
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      return this.#join(workflowId, memo, error);
    }
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

  async #join(workflowId: string, { requestDigest }: JobMemo, cause: Error): Promise<JobHandle> {
    const description = await this.#client.workflow.getHandle(workflowId).describe();
    const memo = memoOf(description);
    if (memo.requestDigest !== requestDigest) {
      throw new InvalidRequest(
        `✖ expected the request that this key was first used for, got another one: job ${workflowId} has it\n  → at idempotencyKey`,
        { cause },
      );
    }
    return this.#handle(workflowId, description.runId, memo.seed);
  }

  #handle(id: string, runId: string, seed: number): JobHandle {
    return new JobHandle({ client: this.#client, id, runId, seed, pollMs: this.#pollMs });
  }
}

/** One line for Temporal's UI. */
function summaryOf({ prompt, model, count, seed }: GenerateJob): string {
  const letters = [...prompt];
  const title = letters.length > 60 ? `${letters.slice(0, 60).join('')}…` : prompt;
  return `${title} · ${model} · ${count === 1 ? '' : `${count} images from `}seed ${seed}`;
}

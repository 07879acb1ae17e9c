import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { type BatchItemResult, BatchPage, BatchProgress, BatchResult } from '../contract/batch.js';
import { BATCH_ITEMS_QUERY, PROGRESS_QUERY } from '../contract/workflow-types.js';
import { jobError } from './job-error.js';

export interface BatchHandleOptions {
  readonly client: Client;
  readonly id: string;
  readonly runId: string;
  /** How many items it has. */
  readonly size: number;
  /** Milliseconds between two looks of `items()`. */
  readonly pollMs: number;
}

/** A batch that was started: to follow, cancel and collect. */
export class BatchHandle {
  /** The workflow's id; `DiffusionClient.batchJob(id)` finds the batch again. */
  readonly id: string;
  readonly runId: string;
  /** How many items it has. */
  readonly size: number;
  readonly #client: Client;
  readonly #pollMs: number;

  /** @internal `DiffusionClient` makes them. */
  constructor({ client, id, runId, size, pollMs }: BatchHandleOptions) {
    this.id = id;
    this.runId = runId;
    this.size = size;
    this.#client = client;
    this.#pollMs = pollMs;
  }

  /**
   * Waits for all items. A batch whose items failed ends well: each says so itself.
   * @throws JobCancelled; the `RenderError` that the batch as a whole ended with, such as Busy
   */
  async result(): Promise<BatchResult> {
    try {
      return BatchResult.parse(await this.#workflow().result());
    } catch (error) {
      throw jobError(error, this.id);
    }
  }

  /**
   * Tells each item once, as soon as it is done or failed, while the others go on. Ends after the last one.
   * @throws what `result()` throws, once the batch has ended so
   */
  async *items(): AsyncGenerator<BatchItemResult, void> {
    const told = new Set<number>();
    for (;;) {
      // In this order: what finishes in between is told by the page.
      const { status } = await this.#workflow().describe();
      if (status.name !== 'RUNNING') break;
      const { items, finished } = await this.#page(told.size);
      for (const item of finished) {
        told.add(item.index);
        yield item;
      }
      if (told.size === items) return;
      if (finished.length === 0) await sleep(this.#pollMs);
    }
    // The result needs no worker to be asked for.
    const { items } = await this.result();
    for (const item of items) if (!told.has(item.index)) yield item;
  }

  /** How many items are done, and how many failed, at the moment. */
  async progress(): Promise<BatchProgress> {
    return BatchProgress.parse(await this.#workflow().query(PROGRESS_QUERY));
  }

  /** Asks for the batch to stop. It ends once its GPUs are free and nothing is staged; pictures that are already stored remain. */
  async cancel(): Promise<void> {
    await this.#workflow().cancel();
  }

  async #page(known: number): Promise<BatchPage> {
    return BatchPage.parse(await this.#workflow().query(BATCH_ITEMS_QUERY, known));
  }

  #workflow() {
    return this.#client.workflow.getHandle(this.id, this.runId);
  }
}

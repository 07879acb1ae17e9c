import type { Client } from '@temporalio/client';
import { CatalogProgress, CatalogSummary } from '../contract/catalog.js';
import {
  CONCURRENCY_UPDATE,
  PAUSE_UPDATE,
  PROGRESS_QUERY,
  RESUME_UPDATE,
} from '../contract/workflow-types.js';
import { jobError } from './job-error.js';

export interface CatalogHandleOptions {
  readonly client: Client;
  readonly id: string;
}

/**
 * A catalogue that is being rendered: to follow, steer and collect. Its workflow continues as new now and then, so it
 * is known by its id alone.
 */
export class CatalogHandle {
  /** The workflow's id; `DiffusionClient.catalogJob(id)` finds it again. */
  readonly id: string;
  readonly #client: Client;

  /** @internal `DiffusionClient` makes them. */
  constructor({ client, id }: CatalogHandleOptions) {
    this.id = id;
    this.#client = client;
  }

  /**
   * Waits for the end. Rows that failed do not fail it: the summary counts them, and their lines say why.
   * @throws JobCancelled; the `RenderError` that stopped the catalogue as a whole
   */
  async result(): Promise<CatalogSummary> {
    try {
      return CatalogSummary.parse(await this.#workflow().result());
    } catch (error) {
      throw jobError(error, this.id);
    }
  }

  /** How many rows are done, and what is in flight, at the moment. */
  async progress(): Promise<CatalogProgress> {
    return CatalogProgress.parse(await this.#workflow().query(PROGRESS_QUERY));
  }

  /** Begins nothing new. What is in flight is finished and written down. Idempotent. */
  async pause(): Promise<CatalogProgress> {
    return CatalogProgress.parse(await this.#workflow().executeUpdate(PAUSE_UPDATE));
  }

  /** Idempotent. */
  async resume(): Promise<CatalogProgress> {
    return CatalogProgress.parse(await this.#workflow().executeUpdate(RESUME_UPDATE));
  }

  /** How many batches may be in flight from now on. @param batches 1 to 256 */
  async setConcurrency(batches: number): Promise<CatalogProgress> {
    return CatalogProgress.parse(
      await this.#workflow().executeUpdate(CONCURRENCY_UPDATE, { args: [batches] }),
    );
  }

  /** Asks for it to stop. What is drawn by then is written down, and another run goes on from there. */
  async cancel(): Promise<void> {
    await this.#workflow().cancel();
  }

  #workflow() {
    return this.#client.workflow.getHandle(this.id);
  }
}

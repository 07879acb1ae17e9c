import { SimplePlugin } from '@temporalio/plugin';
import type { WorkerOptions } from '@temporalio/worker';
import { type Logger, pino } from 'pino';
import { type CatalogActivities, createCatalogActivities } from './activities/catalog.js';
import { createModelCatalogue } from './activities/model-catalogue.js';
import { createPromptActivities, type Moderate, type PromptActivities } from './activities/prompt.js';
import type { RequestLimits } from './activities/request-limits.js';

/** What the light activities of a worker of your own need. */
export interface DiffusionPluginOptions {
  /** Checkpoint folders of the deployment's models, by the names that requests have for them. */
  readonly models: Readonly<Record<string, string>>;
  /** Where digests of checkpoints are kept between lives. */
  readonly cacheFolder: string;
  /** Judges every job before any GPU sees it; throws `PromptRejected` to refuse it. Default: none. */
  readonly moderate?: Moderate | undefined;
  /** What a request may cost, and how much may wait. Default: see `RequestLimits`. */
  readonly limits?: RequestLimits | undefined;
  /** Addresses (`file:`, `s3:`, or a folder's path) below which catalogues may be read and their results written. Default: none. */
  readonly catalogs?: readonly string[] | undefined;
  /** Default: warnings and errors on stderr. */
  readonly log?: Logger;
}

/**
 * Adds our light activities to a `Worker` of your own on the queue `diffusion`. Your workflows file re-exports ours:
 * `export * from 'temporal-diffusion/workflows'`.
 *
 * SimplePlugin merges what a plugin brings in ways that lose what the user has (a workflowsPath replaces theirs,
 * activity client interceptors are dropped, activities of the same name overwritten). So nothing is handed to it:
 * your workflows, activities and interceptors stay exactly as you gave them, and ours are added here.
 */
export class DiffusionPlugin extends SimplePlugin {
  readonly #activities: PromptActivities & CatalogActivities;

  constructor({ models, cacheFolder, moderate, limits, catalogs = [], log }: DiffusionPluginOptions) {
    super({ name: 'temporal-diffusion' });
    const dependencies = {
      models: createModelCatalogue({ checkpoints: models, cacheFolder }),
      moderate,
      limits,
      log: log ?? pino({ name: 'temporal-diffusion', level: 'warn' }, pino.destination(2)),
    };
    this.#activities = {
      ...createPromptActivities(dependencies),
      ...createCatalogActivities({ ...dependencies, catalogs }),
    };
  }

  /** Idempotent: a plugin that was given to both connection and worker gets here twice. */
  override configureWorker(options: WorkerOptions): WorkerOptions {
    const theirs = { ...options.activities } as Record<string, unknown>;
    for (const [name, ours] of Object.entries(this.#activities)) {
      if (Object.hasOwn(theirs, name) && theirs[name] !== ours) {
        throw new TypeError(
          `Expected no activity called ${name} beside temporal-diffusion's, but the worker of queue ${options.taskQueue} has one: give yours another name`,
        );
      }
    }
    return { ...super.configureWorker(options), activities: { ...theirs, ...this.#activities } };
  }
}

import '../async-dispose.js';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NativeConnection, WorkerDeploymentOptions, WorkerOptions } from '@temporalio/worker';
import { createGenerateActivities } from '../activities/generate.js';
import type { Moderate } from '../activities/prompt.js';
import { createPublishActivities } from '../activities/publish.js';
import type { RequestLimits } from '../activities/request-limits.js';
import { openStaging } from '../activities/staging.js';
import { DIFFUSION_QUEUE, gpuQueue, hostQueue } from '../contract/queues.js';
import { createBatchCeilings } from '../gpu/batches.js';
import { DiffusionPlugin } from '../plugin.js';
import type { BlobStore } from '../storage/blob-store.js';
import { WORKFLOW_BUNDLE } from '../workflows/bundle-path.js';
import { lackOfSpace, MIN_FREE_BYTES } from './disk-space.js';
import { createGpuSlot } from './gpu-slot.js';
import { type ModelEnginesOptions, startModelEngines, type WorkerModel } from './model-engines.js';
import { type RunningWorker, startWorker } from './running-worker.js';
import type { WorkerTracing } from './tracing.js';
import { createWorkerTelemetry } from './worker-telemetry.js';

/** `jobs`: workflows and light activities; `gpu`: drawing, and publishing what was drawn. */
export type WorkerRole = 'jobs' | 'gpu';

/** What Temporal's worker versioning goes by. */
export interface WorkerDeployment {
  readonly name: string;
  readonly buildId: string;
  /** `PINNED`: jobs end on the build that began them. `AUTO_UPGRADE`: they move to the current one. */
  readonly behavior: 'PINNED' | 'AUTO_UPGRADE';
}

/** What a worker does, with whichever models. */
export interface CommonWorkerOptions extends ModelEnginesOptions {
  /** Where finished pictures go. */
  readonly store: BlobStore;
  /** Folder on a local disk for pixels that wait to be published. Default: `staging` in the cache folder. */
  readonly stagingFolder?: string;
  /** Default: both. */
  readonly roles?: readonly WorkerRole[];
  /** Judges every job before any GPU sees it. Default: none. */
  readonly moderate?: Moderate;
  /** Milliseconds that running work gets when the worker stops. Default: 30,000. */
  readonly graceMs?: number;
  /** No new picture is begun while the staging folder's disk has less free. Default: 512 MiB. */
  readonly minFreeBytes?: number;
  /** What a request may cost, and how much may wait. Default: see `RequestLimits`. */
  readonly limits?: RequestLimits;
  /** Addresses below which catalogues may be read and their results written. Default: the store's own. */
  readonly catalogs?: readonly string[];
  /** To which version of which deployment the workflows of this worker belong. Default: none. */
  readonly deployment?: WorkerDeployment;
  /** Traces jobs whose callers trace them (see docs/tracing.md). Default: no. */
  readonly tracing?: WorkerTracing;
}

/** Models that take turns on one device. */
export interface SeveralModels {
  /** One or more, in the order in which their engines start. */
  readonly models: readonly WorkerModel[];
  /** How many of them have memory of the device at the same time; the others are in standby. Default: 1. */
  readonly resident?: number;
}

/** What one host's worker does, and with what. */
export type DiffusionWorkerOptions = CommonWorkerOptions & (WorkerModel | SeveralModels);

/** One host's worker: its engine, and what it takes from Temporal's queues. */
export interface DiffusionWorker extends AsyncDisposable {
  /** Resolves when its engines can draw; at once without the role `gpu`. @throws CheckpointInvalid, EngineCrashed */
  ready(): Promise<void>;
  /** Why it takes no pictures to draw at the moment; empty where it does. */
  readiness(): Promise<string[]>;
  /** What the engines of several models are at, such as `emoji: standby`; empty for a single one. */
  states(): string[];
  /** Works until `stop` is called. Rejects where the engine can't start, or Temporal can't be reached for good. */
  run(connection: NativeConnection, namespace?: string): Promise<void>;
  /** Lets running pictures be finished and published, then ends everything. Idempotent. */
  stop(): Promise<void>;
}

/** A worker that runs activities only. */
const UNUSED = { type: 'fixed-size', numSlots: 1 } as const;

/** Pictures that are encoded and stored at the same time; each mostly waits for libvips' threads or the store. */
const PUBLISH_SLOTS = 8;

/**
 * How often heartbeats really go to the server at most. A cancellation comes with the answer to one, and progress is
 * seen by way of them; the SDK's default would hold both back for seconds.
 */
const HEARTBEAT_THROTTLE_MS = 200;

/**
 * How long a job waits for the worker that has it in its cache before any other may go on with it. Its history is
 * short, so that costs less than a wait for a worker that has died; the SDK's default is 10 seconds.
 */
const STICKY_MS = 2_000;

/** One host's worker. Its engines start to load at once, before there is a connection. */
export async function createGpuWorker(options: DiffusionWorkerOptions): Promise<DiffusionWorker> {
  const { store, cacheFolder, moderate, log } = options;
  const { models, resident = 1 } = 'models' in options ? options : { models: [options] };
  const { roles = ['jobs', 'gpu'], graceMs = 30_000, stagingFolder = join(cacheFolder, 'staging') } = options;
  const { minFreeBytes = MIN_FREE_BYTES, limits, catalogs = [store.url] } = options;
  // A new process has nothing staged, so it must not be taken for the last one: its queue has a name of its own.
  const queue = hostQueue(`${hostname()}-${process.pid}-${randomUUID().slice(0, 8)}`);
  const { device = 'cpu', tracing } = options;
  const telemetry = await createWorkerTelemetry({ device, tracing });
  const gpu = roles.includes('gpu')
    ? {
        ...startModelEngines(models, resident, { ...options, observe: telemetry.ofModel }),
        staging: telemetry.observeStaging(await openStaging({ folder: stagingFolder, log })),
      }
    : undefined;
  const ceilings = createBatchCeilings(join(cacheFolder, 'batch-ceilings.json'));
  const enginesReady = Promise.all(gpu?.engines.map(({ ready }) => ready) ?? []);
  // Whoever waits for it hears of a failure; until then it must not end the process.
  enginesReady.catch(() => {});

  const stopping = new AbortController();
  const stopAsked = once(stopping.signal, 'abort');
  let running: Promise<void> = Promise.resolve();
  let stopped: Promise<void> | undefined;
  let isConnected = false;

  const jobs: WorkerOptions = {
    taskQueue: DIFFUSION_QUEUE,
    workflowBundle: { codePath: WORKFLOW_BUNDLE },
    stickyQueueScheduleToStartTimeout: STICKY_MS,
    // Of the workflows alone: a picture is drawn by whichever host is free, of whatever build.
    ...(options.deployment && { workerDeploymentOptions: versioned(options.deployment) }),
    plugins: [
      new DiffusionPlugin({
        models: Object.fromEntries(models.map(({ model, checkpoint }) => [model, checkpoint])),
        cacheFolder,
        moderate,
        limits,
        catalogs,
        log,
      }),
    ],
  };
  const drawing = gpu?.engines.map(
    ({ model, host }): WorkerOptions => ({
      taskQueue: gpuQueue(model),
      activities: createGenerateActivities({
        host,
        staging: gpu.staging,
        ceilings,
        hostQueue: queue,
        hostName: hostname(),
        handsBack: true,
        log,
      }),
      // A GPU does one thing at a time, and a task that waited here could be drawn by another host. A model in standby
      // asks for work all the same: it is there sooner than anybody who would have to start an engine.
      tuner: {
        activityTaskSlotSupplier: createGpuSlot(async () => {
          await host.ready();
          return (await lackOfSpace(stagingFolder, minFreeBytes)) === undefined;
        }),
        workflowTaskSlotSupplier: UNUSED,
        localActivityTaskSlotSupplier: UNUSED,
        nexusTaskSlotSupplier: UNUSED,
      },
      maxConcurrentActivityTaskPolls: 1,
    }),
  );
  const publishing: WorkerOptions | undefined = gpu && {
    taskQueue: queue,
    activities: createPublishActivities({
      store,
      staging: gpu.staging,
      onPublished: telemetry.published,
      log,
    }),
    maxConcurrentActivityTaskExecutions: PUBLISH_SLOTS,
  };

  /** Waits for the first of these, but no longer than until the worker is to stop. */
  async function unlessStopped(team: readonly RunningWorker[], event?: Promise<unknown>): Promise<void> {
    await Promise.race([stopAsked, ...team.map(({ done }) => done), ...(event ? [event] : [])]);
  }

  async function work(common: Omit<WorkerOptions, 'taskQueue'>): Promise<void> {
    const team: RunningWorker[] = [];
    try {
      if (roles.includes('jobs')) team.push(await startWorker({ ...common, ...jobs }));
      if (publishing) team.push(await startWorker({ ...common, ...publishing }));
      isConnected = true;
      if (drawing)
        await draw(
          drawing.map((options) => ({ ...common, ...options })),
          team,
        );
      else await unlessStopped(team);
    } finally {
      await Promise.all(team.map((worker) => worker.stop()));
    }
  }

  /** Draws until it is to stop. The others go on until what was drawn is published too. */
  async function draw(drawing: readonly WorkerOptions[], team: readonly RunningWorker[]): Promise<void> {
    const drawers: RunningWorker[] = [];
    try {
      // They ask for work as soon as their engines can draw: until then, another host of the model serves it better.
      for (const options of drawing) drawers.push(await startWorker(options));
      const everybody = [...team, ...drawers];
      await unlessStopped(everybody, enginesReady);
      await unlessStopped(everybody);
    } finally {
      await Promise.all(drawers.map((worker) => worker.stop()));
    }
    await Promise.race([gpu?.staging.drained(), sleep(graceMs, undefined, { ref: false })]);
  }

  async function stop(): Promise<void> {
    stopping.abort();
    await running.catch(() => {});
    await gpu?.close();
    await gpu?.staging.close();
    telemetry.close();
  }

  async function readiness(): Promise<string[]> {
    const reasons = [
      stopping.signal.aborted && 'the worker is stopping',
      !isConnected && 'the worker is not connected to Temporal yet',
      ...(gpu?.lacks() ?? []),
      gpu && (await lackOfSpace(stagingFolder, minFreeBytes)),
    ];
    return reasons.filter((reason) => typeof reason === 'string');
  }

  return {
    async ready() {
      await enginesReady;
    },
    readiness,
    states: () => (models.length > 1 ? (gpu?.states() ?? []) : []),
    run(connection, namespace = 'default') {
      running = work({
        connection,
        namespace,
        shutdownGraceTime: graceMs,
        maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
        interceptors: telemetry.interceptors,
        sinks: telemetry.sinks,
      });
      return running;
    },
    stop: () => (stopped ??= stop()),
    [Symbol.asyncDispose]: () => (stopped ??= stop()),
  };
}

function versioned({ name, buildId, behavior }: WorkerDeployment): WorkerDeploymentOptions {
  return {
    useWorkerVersioning: true,
    version: { deploymentName: name, buildId },
    defaultVersioningBehavior: behavior,
  };
}

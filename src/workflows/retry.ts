import {
  ActivityCancellationType,
  type ActivityOptions,
  type LocalActivityOptions,
} from '@temporalio/workflow';
import { Busy } from '../contract/errors.js';
import { gpuQueue } from '../contract/queues.js';

/*
 * Every timeout, retry policy and queue of our workflows, with its reason. Which errors are retried at all is
 * fixed a kind in `contract/errors.ts`; the numbers here say how often and how soon.
 */

/** `preparePromptAtOnce`, in the workflow's own task. */
export const preparingAtOnce: LocalActivityOptions = {
  // Milliseconds of work. While it runs, the task that it is part of stands: what takes longer (a model that is being
  // read for the first time), or fails in a way that may pass, is left to `preparePrompt`.
  scheduleToCloseTimeout: '2 seconds',
  retry: { maximumAttempts: 1 },
};

/** `preparePrompt`, on the workflow's own queue. */
export const preparing: ActivityOptions = {
  // Milliseconds of work; the rest is for a moderation hook that asks somebody over the network.
  startToCloseTimeout: '30 seconds',
  // What is retried here is that network: about 2 minutes of it being away.
  retry: {
    initialInterval: '500 milliseconds',
    backoffCoefficient: 2,
    maximumInterval: '30 seconds',
    maximumAttempts: 10,
    // Retrying would be the very queue that is full: the caller hears of it at once.
    nonRetryableErrorTypes: [Busy.type],
  },
};

/** `prepareBatch`, on the workflow's own queue: what `preparePrompt` does, a thousand times. */
export const preparingBatch: ActivityOptions = {
  ...preparing,
  // A moderation hook that takes a second for each of 1,000 items, 16 at a time, needs one minute.
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
};

/** `generate`, on whichever host of the model has its GPU free. No limit on waiting for one: jobs outlast a fleet's absence. */
export function generating(model: string): ActivityOptions {
  return {
    taskQueue: gpuQueue(model),
    // The last resort: a stalled engine is found by its host and a dead host by its heartbeats, both much sooner.
    // A large picture on a CPU may really take this long.
    startToCloseTimeout: '1 hour',
    // Ten times the interval at which workers beat: a busy machine is not taken for a dead one.
    heartbeatTimeout: '10 seconds',
    // The GPU must be known to be free, and what was staged on the way known, before a cancelled job ends.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    // A crashed engine is replaced within seconds, so begin early. What fails five times (out of memory, a broken
    // GPU that keeps answering) would fail the sixth, at the price of GPU time: one clear failure is better.
    retry: {
      initialInterval: '200 milliseconds',
      backoffCoefficient: 3,
      maximumInterval: '30 seconds',
      maximumAttempts: 5,
    },
  };
}

/**
 * `generate` of several images together. What fails three times for all of them is tried for each alone, with all the
 * attempts that one alone has: so the guilty one costs the others three attempts, not five.
 */
export function generatingTogether(model: string): ActivityOptions {
  const options = generating(model);
  return { ...options, retry: { ...options.retry, maximumAttempts: 3 } };
}

/** `publish`, on the one host that has the pixels. */
export function publishing(hostQueue: string): ActivityOptions {
  return {
    taskQueue: hostQueue,
    // How long a host may leave a task untouched before it counts as gone and the picture is drawn again. Its
    // several slots are busy for seconds at most; drawing again costs about as long as this.
    scheduleToStartTimeout: '20 seconds',
    // Encoding the largest picture as AVIF takes a minute of one core; the rest is for a slow store.
    startToCloseTimeout: '5 minutes',
    heartbeatTimeout: '10 seconds',
    // Whether the picture was stored must be known before its pixels are thrown away.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    // A store that is away for 10 minutes costs no GPU time; after that somebody should hear of it. Staging keeps
    // claims for an hour, so they outlast this.
    retry: {
      initialInterval: '1 second',
      backoffCoefficient: 2,
      maximumInterval: '1 minute',
      maximumAttempts: 15,
    },
  };
}

/** `discard`, on the host that has the pixels: courtesy, not duty. A host that does not answer forgets them by itself. */
export function discarding(hostQueue: string): ActivityOptions {
  return {
    taskQueue: hostQueue,
    // The job's end waits for this.
    scheduleToCloseTimeout: '5 seconds',
    retry: { maximumAttempts: 2 },
  };
}

/**
 * How often one image is drawn because its host was gone before it was stored. Each time another host has died
 * within seconds: after three, something is wrong that drawing does not mend.
 */
export const MAX_DRAWINGS = 3;

/**
 * How often a job is planned because its model was replaced while it waited. By the second time, jobs' workers and
 * GPUs' workers have different models.
 */
export const MAX_PLANS = 2;

/** `readCatalogPage`, on the workflow's own queue. */
export const readingCatalog: ActivityOptions = {
  // The first page of a run reads all earlier results: some minutes for a million rows in S3. Then milliseconds, and
  // whatever a moderation hook takes.
  startToCloseTimeout: '15 minutes',
  heartbeatTimeout: '30 seconds',
  // A store that is away for an hour stops a run that may take days, and costs no GPU time meanwhile.
  retry: {
    initialInterval: '500 milliseconds',
    backoffCoefficient: 2,
    maximumInterval: '1 minute',
    maximumAttempts: 65,
  },
};

/** `writeShard`, on the workflow's own queue: one small blob. */
export const writingShard: ActivityOptions = {
  startToCloseTimeout: '2 minutes',
  // What it writes is paid for with GPU time, so it is as patient as reading is.
  retry: readingCatalog.retry ?? {},
};

/** `finishCatalog`, on the workflow's own queue: reads up to 48 pictures. */
export const finishingCatalog: ActivityOptions = {
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '30 seconds',
  retry: readingCatalog.retry ?? {},
};

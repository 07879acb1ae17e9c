import { Context } from '@temporalio/activity';
import { Busy, InvalidRequest } from '../contract/errors.js';
import { gpuQueue } from '../contract/queues.js';

/** What a request may cost, and how much may wait. */
export interface RequestLimits {
  /** Pixels of all of a request's images together. Default: 4096², which is 16 images of 1024². */
  readonly maxPixels?: number;
  /** Images that may wait for the model's GPUs; with more, requests are refused as `Busy`. Default: no limit. */
  readonly maxBacklog?: number;
}

const MAX_PIXELS = 4096 ** 2;

export interface RequestSize {
  readonly width: number;
  readonly height: number;
  readonly count: number;
}

/** @throws InvalidRequest */
export function refuseTooManyPixels({ width, height, count }: RequestSize, limits: RequestLimits = {}): void {
  const { maxPixels = MAX_PIXELS } = limits;
  const pixels = width * height * count;
  if (pixels <= maxPixels) return;
  throw new InvalidRequest(
    `✖ expected at most ${maxPixels} pixels a request, got ${count} × ${width} × ${height} = ${pixels}\n  → at count`,
  );
}

/**
 * Asks the server how much waits for the model's GPUs. Its answer is approximate and may be some seconds old.
 * @throws Busy
 */
export async function refuseBacklog(model: string, { maxBacklog }: RequestLimits = {}): Promise<void> {
  if (maxBacklog === undefined) return;
  const { client } = Context.current();
  const waiting = await backlogOf(gpuQueue(model), client);
  if (waiting <= maxBacklog) return;
  throw new Busy(
    `about ${waiting} images wait for ${model} already, more than ${maxBacklog}: ask again later, or add workers`,
  );
}

type Client = Context['client'];

async function backlogOf(taskQueue: string, { workflowService, options }: Client): Promise<number> {
  const { stats } = await workflowService.describeTaskQueue({
    namespace: options.namespace,
    taskQueue: { name: taskQueue },
    // TASK_QUEUE_TYPE_ACTIVITY of temporal.api.enums.v1
    taskQueueType: 2,
    reportStats: true,
  });
  return Number(stats?.approximateBacklogCount ?? 0);
}

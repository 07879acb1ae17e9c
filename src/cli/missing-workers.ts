import type { NativeConnection } from '@temporalio/worker';
import { DIFFUSION_QUEUE, gpuQueue } from '../contract/queues.js';

/** Of Temporal's API (`TaskQueueType`), whose generated package is no dependency of ours. */
const TASK_QUEUE_TYPE_WORKFLOW = 1;
const TASK_QUEUE_TYPE_ACTIVITY = 2;

/**
 * The server lists who has polled in the last five minutes. A worker that lives asks again after a minute at most: that
 * is how long the server lets a poll wait.
 */
const POLLS_WITHIN_MS = 75_000;

/** @returns for each kind of worker that a job needs and that nobody runs, what is missing */
export async function missingWorkers(
  connection: NativeConnection,
  namespace: string,
  model: string,
): Promise<string[]> {
  const needed = [
    { queue: DIFFUSION_QUEUE, taskQueueType: TASK_QUEUE_TYPE_WORKFLOW, role: 'jobs' },
    { queue: gpuQueue(model), taskQueueType: TASK_QUEUE_TYPE_ACTIVITY, role: 'gpu' },
  ];
  const missing: string[] = [];
  for (const { queue, taskQueueType, role } of needed) {
    const { pollers } = await connection.workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: queue },
      taskQueueType,
    });
    const alive = pollers?.some(
      ({ lastAccessTime }) => Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1000 < POLLS_WITHIN_MS,
    );
    if (!alive) {
      missing.push(
        `no worker polls the queue ${queue}: start one with "temporal-diffusion worker --role ${role}"`,
      );
    }
  }
  return missing;
}

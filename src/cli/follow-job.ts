import { setTimeout as sleep } from 'node:timers/promises';
import type { JobHandle } from '../client/job-handle.js';
import type { Setback } from '../client/setbacks.js';
import type { GenerateResult } from '../contract/job.js';
import type { GenerateRequest } from '../contract/request.js';
import { unlessAborted } from '../unless-aborted.js';
import type { Deployment } from './deployment.js';
import { JobFailed } from './failure-report.js';
import type { Progress } from './progress.js';

/** How long a cancelled job gets to come to rest before the command ends without it. */
const CANCEL_WITHIN_MS = 10_000;
/** A job that is not done after this long may have nobody to do it, and so may one that goes on later. */
const LOOK_EVERY_MS = 3_000;

/**
 * Starts a job and shows how it gets on.
 * @param signal cancels the job
 * @throws JobFailed once it was started
 */
export async function followJob(
  request: GenerateRequest,
  deployment: Deployment,
  progress: Progress,
  signal: AbortSignal,
): Promise<GenerateResult> {
  const [{ Client }, { DiffusionClient }] = await Promise.all([
    import('@temporalio/client'),
    import('../client/diffusion-client.js'),
  ]);
  signal.throwIfAborted();
  const handle = await new DiffusionClient(new Client(deployment)).generate(request);
  const over = new AbortController();
  const showing = showSteps(handle, progress);
  void tellHindrances(deployment, request.model, progress, over.signal);
  try {
    const result = await Promise.race([unlessAborted(handle.result(), signal), deployment.failed]);
    await showing;
    return result;
  } catch (error) {
    if (signal.aborted) await cancel(handle, progress);
    throw new JobFailed({ workflowId: handle.id, runId: handle.runId }, error);
  } finally {
    over.abort();
  }
}

/** Never rejects: what the job ended with is told by its result. */
async function showSteps(handle: JobHandle, progress: Progress): Promise<void> {
  try {
    const onSetback = ({ activity, message }: Setback) =>
      progress.note(`${activity} failed and is tried again: ${message}`);
    for await (const update of handle.updates({ onSetback })) progress.step(update);
  } catch {
    // The connection is gone, or the job's end is none of success: the result says so.
  }
}

async function cancel(handle: JobHandle, progress: Progress): Promise<void> {
  progress.note('cancelling the job; Ctrl-C again ends at once');
  const ended = handle
    .cancel()
    .then(() => handle.result())
    .catch(() => {});
  const late = sleep(CANCEL_WITHIN_MS, 'late' as const, { ref: false });
  if ((await Promise.race([ended, late])) === 'late') {
    progress.note(`job ${handle.id} has not ended yet: it will as soon as its workers hear of it`);
  }
}

/** Tells each once. */
async function tellHindrances(
  deployment: Deployment,
  model: string,
  progress: Progress,
  over: AbortSignal,
): Promise<void> {
  const told = new Set<string>();
  try {
    for (;;) {
      await sleep(LOOK_EVERY_MS, undefined, { signal: over });
      for (const hindrance of await deployment.hindrances(model)) {
        // A disk that fills up is one thing to tell, not one for each mebibyte.
        const kind = hindrance.replace(/\d+/g, '');
        if (!told.has(kind)) progress.note(`waiting: ${hindrance}`);
        told.add(kind);
      }
    }
  } catch {
    // The job is over, or the server does not tell: either way there is nothing to warn of.
  }
}

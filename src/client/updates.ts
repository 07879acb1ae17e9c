import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { z } from 'zod';
import { StepUpdate } from '../contract/job.js';

/** A step of an image is done. */
export interface JobUpdate extends StepUpdate {
  /** How often this image has been begun, from 1. */
  readonly attempt: number;
}

/** Heartbeats say more than their progress. */
const Progress = z.object(StepUpdate.shape);

/** The state of every image that is being drawn: what its worker's last heartbeat said. */
export async function lookAt(client: Client, { raw }: WorkflowExecutionDescription): Promise<JobUpdate[]> {
  const updates: JobUpdate[] = [];
  for (const { activityType, heartbeatDetails, attempt } of raw.pendingActivities ?? []) {
    if (activityType?.name !== 'generate') continue;
    const [details] = await decodeArrayFromPayloads(
      client.options.loadedDataConverter,
      heartbeatDetails?.payloads,
    );
    // There are none before the first step, while the engine starts.
    const progress = Progress.safeParse(details);
    if (progress.success) updates.push({ ...progress.data, attempt: attempt ?? 1 });
  }
  return updates;
}

/**
 * Tells each step of each image once and in order, whatever is seen of them: two looks may have several steps
 * between them, and an image that is drawn again does not count back. A step whose preview comes after it is told
 * once more, with it.
 */
export class StepCounter {
  readonly #done = new Map<number, number>();
  readonly #previewed = new Map<number, number>();

  *advance({ preview, ...update }: JobUpdate): Generator<JobUpdate> {
    const next = (this.#done.get(update.index) ?? -1) + 1;
    const shown = preview !== undefined && (this.#previewed.get(update.index) ?? -1) < update.step;
    for (let step = next; step <= update.step; step++) {
      this.#done.set(update.index, step);
      if (step < update.step || !shown) yield { ...update, step };
    }
    if (!shown || this.#done.get(update.index) !== update.step) return;
    this.#previewed.set(update.index, update.step);
    yield { ...update, preview };
  }
}

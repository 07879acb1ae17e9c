import type { WorkflowExecutionDescription } from '@temporalio/client';

/** Part of a job was tried in vain, and is tried again. */
export interface Setback {
  /** `preparePrompt`, `generate` or `publish`. */
  readonly activity: string;
  /** How often it has failed so far. */
  readonly failures: number;
  /** What it failed with the last time. */
  readonly message: string;
}

/** Tells what goes wrong with a job's activities, once each time that it is something else. */
export class SetbackWatch {
  readonly #told = new Map<string, string>();

  *look({ raw }: WorkflowExecutionDescription): Generator<Setback> {
    for (const { activityId, activityType, attempt, lastFailure } of raw.pendingActivities ?? []) {
      const [id, message] = [activityId, lastFailure?.message];
      if (!id || !message || this.#told.get(id) === message) continue;
      this.#told.set(id, message);
      yield { activity: activityType?.name ?? '', failures: (attempt ?? 1) - 1, message };
    }
  }
}

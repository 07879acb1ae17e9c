import { Worker, type WorkerOptions } from '@temporalio/worker';

/** A Temporal worker at work. */
export interface RunningWorker {
  /** Rejects where the worker failed for good; resolves once it has been stopped. */
  readonly done: Promise<void>;
  /** Takes no more tasks, and resolves when those that it has are finished or their grace is over. Never rejects. */
  stop(): Promise<void>;
}

export async function startWorker(options: WorkerOptions): Promise<RunningWorker> {
  const worker = await Worker.create(options);
  const done = worker.run();
  const settled = done.catch(() => {});
  return {
    done,
    stop() {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      return settled;
    },
  };
}

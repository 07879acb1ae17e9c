import { Worker } from 'node:worker_threads';
import type { Pointer } from './native.js';
import type { Status } from './ort-functions.js';

/** Addresses mean the same in every thread of a process. */
export interface RunRequest {
  readonly id: number;
  readonly session: Pointer;
  readonly options: Pointer;
  readonly binding: Pointer;
}

export interface RunResult {
  readonly id: number;
  readonly status: Status;
}

/** Makes the runs of one session on a thread of their own, so that the event loop goes on meanwhile. */
export class RunThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve(status: Status): void; reject(error: unknown): void }>();
  #runs = 0;

  constructor(libraryPath: string) {
    this.#worker = new Worker(new URL('./run-worker.js', import.meta.url), { workerData: libraryPath });
    this.#worker.on('message', ({ id, status }: RunResult) => {
      this.#waiting.get(id)?.resolve(status);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#worker.unref();
    });
    this.#worker.on('error', (error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    this.#worker.unref();
  }

  /** `RunWithBinding`; what it is given must outlive it. */
  run(request: Omit<RunRequest, 'id'>): Promise<Status> {
    return new Promise((resolve, reject) => {
      const id = this.#runs++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      this.#worker.postMessage({ id, ...request });
    });
  }

  /** No run may be under way: a thread that is ended in one takes the process with it. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

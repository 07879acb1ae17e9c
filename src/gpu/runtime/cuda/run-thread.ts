import { Worker } from 'node:worker_threads';
import { EngineCrashed } from '../../../contract/errors.js';
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
  /** Why no run will be made any more. */
  #end: Error | undefined;

  constructor(libraryPath: string) {
    this.#worker = new Worker(new URL('./run-worker.js', import.meta.url), { workerData: libraryPath });
    this.#worker.on('message', ({ id, status }: RunResult) => {
      this.#waiting.get(id)?.resolve(status);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#worker.unref();
    });
    this.#worker.on('error', (cause) => {
      this.#over(
        new EngineCrashed(`the thread that makes the model's runs ended: ${cause.message}`, { cause }),
      );
    });
    // After an error too; and without one, where something has ended the thread.
    this.#worker.on('exit', (code) => {
      this.#over(new EngineCrashed(`the thread that makes the model's runs ended [exit=${code}]`));
    });
    this.#worker.unref();
  }

  /** `RunWithBinding`; what it is given must outlive it. @throws EngineCrashed where the thread is gone */
  async run(request: Omit<RunRequest, 'id'>): Promise<Status> {
    if (this.#end) throw this.#end;
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

  #over(reason: Error): void {
    this.#end ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#end);
    this.#waiting.clear();
  }
}

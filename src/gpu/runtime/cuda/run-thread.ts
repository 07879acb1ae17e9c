import type { Worker } from 'node:worker_threads';
import { EngineCrashed } from '../../../contract/errors.js';
import { startThread } from '../../programs/start-thread.js';
import { ThreadCalls } from '../../thread-calls.js';
import type { Pointer } from './native.js';
import type { Status } from './ort-functions.js';
import type { OwnKernelsSource } from './own-kernels.js';

export interface RunThreadData {
  readonly libraryPath: string;
  /** What it computes operators of our own with. */
  readonly ownKernels: OwnKernelsSource | undefined;
  /** See `StageProgress`. */
  readonly progress: SharedArrayBuffer;
}

/** Addresses mean the same in every thread of a process. */
export interface RunRequest {
  readonly id: number;
  readonly session: Pointer;
  readonly options: Pointer;
  readonly binding: Pointer;
  /** Its number for `StageProgress`. */
  readonly run: number;
  /** Whether it waits for weights that are on their way. */
  readonly waits: boolean;
}

export interface RunResult {
  readonly id: number;
  readonly status: Status;
}

/** Makes the runs of one session on a thread of their own, so that the event loop goes on meanwhile. */
export class RunThread {
  readonly #worker: Worker;
  readonly #calls: ThreadCalls<Omit<RunRequest, 'id'>, Status>;
  /** Addresses of the `OrtCustomOp`s that the thread computes, good while it lives. Rejects with EngineCrashed. */
  readonly operators: Promise<readonly Pointer[]>;

  constructor(libraryPath: string, progress: SharedArrayBuffer, ownKernels?: OwnKernelsSource) {
    const workerData: RunThreadData = { libraryPath, ownKernels, progress };
    this.#worker = startThread('run-worker', workerData);
    this.#calls = new ThreadCalls(this.#worker);
    let noOperators: (reason: unknown) => void = () => {};
    this.operators = new Promise((resolve, reject) => {
      noOperators = reject;
      this.#worker.on('message', (message: RunResult | readonly Pointer[]) => {
        if ('id' in message) return this.#calls.answered(message.id, message.status);
        this.#calls.rest();
        resolve(message);
      });
      if (!ownKernels) resolve([]);
    });
    this.operators.catch(() => {});
    const end = (reason: EngineCrashed) => {
      this.#calls.ended(reason);
      noOperators(reason);
    };
    this.#worker.on('error', (cause) => {
      const message = `the thread that makes the model's runs ended: ${cause.message}`;
      end(new EngineCrashed(message, { cause }));
    });
    // After an error too; and without one, where something has ended the thread.
    this.#worker.on('exit', (code) => {
      end(new EngineCrashed(`the thread that makes the model's runs ended [exit=${code}]`));
    });
    // Who waits for the operators waits for the thread.
    if (!ownKernels) this.#worker.unref();
  }

  /** `RunWithBinding`; what it is given must outlive it. @throws EngineCrashed where the thread is gone */
  run(request: Omit<RunRequest, 'id'>): Promise<Status> {
    return this.#calls.call(request);
  }

  /** No run may be under way: a thread that is ended in one takes the process with it. */
  close(): Promise<void> {
    return this.#calls.close();
  }
}

import type { Worker } from 'node:worker_threads';

interface Waiting<Answer> {
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/** Requests to a worker thread and their answers. The thread keeps the process alive only while something waits. */
export class ThreadCalls<Request extends object, Answer> {
  readonly #waiting = new Map<number, Waiting<Answer>>();
  #calls = 0;
  #end: Error | undefined;

  constructor(private readonly worker: Worker) {}

  /** Whether nothing waits for an answer. */
  get isIdle(): boolean {
    return this.#waiting.size === 0;
  }

  /** Sends the request with an `id`. @throws why the calls have ended */
  call(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(this.#end);
      const id = this.#calls++;
      this.#waiting.set(id, { resolve, reject });
      this.worker.ref();
      this.worker.postMessage({ id, ...request });
    });
  }

  /** To be told of what the thread answered to the request of that `id`. */
  answered(id: number, answer: Answer): void {
    this.#waiting.get(id)?.resolve(answer);
    this.#waiting.delete(id);
    if (this.isIdle) this.worker.unref();
  }

  /** To be told when the thread is gone: nothing is answered any more. The first reason stays. */
  ended(reason: Error): void {
    this.#end ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#end);
    this.#waiting.clear();
  }
}

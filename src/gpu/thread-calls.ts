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
  #isClosing = false;

  constructor(private readonly worker: Worker) {}

  /** Lets the thread keep the process alive no longer, where nothing waits for it. */
  rest(): void {
    // Who ends it waits for its end, whatever is answered meanwhile.
    if (this.#waiting.size === 0 && !this.#isClosing) this.worker.unref();
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
    this.rest();
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    this.#isClosing = true;
    // One that nothing keeps alive would let the process end before it has ended.
    this.worker.ref();
    await this.worker.terminate();
  }

  /** To be told when the thread is gone: nothing is answered any more. The first reason stays. */
  ended(reason: Error): void {
    this.#end ??= reason;
    for (const { reject } of this.#waiting.values()) reject(this.#end);
    this.#waiting.clear();
  }
}

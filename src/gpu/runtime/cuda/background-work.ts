/** Work that gives way to other work: one piece at a time, which goes on until it is done or somebody stops it. */
export class BackgroundWork<T> {
  #stop = new AbortController();
  #running: Promise<T> | undefined;

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Begins it. While a piece runs, whoever begins another one is given that. */
  begin(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#running) return this.#running;
    this.#stop = new AbortController();
    this.#running = work(this.#stop.signal).finally(() => {
      this.#running = undefined;
    });
    // Whoever waits for it hears of it; nobody has to.
    this.#running.catch(() => {});
    return this.#running;
  }

  /** Resolves when nothing goes on any more. @param reason why, for what it rejects with */
  async stop(reason: string): Promise<void> {
    this.#stop.abort(new Error(reason));
    await this.#running?.catch(() => {});
  }
}

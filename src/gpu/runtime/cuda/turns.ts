/** Lets pieces of work wait for each other. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  /** Begins when all work before is over, however that ended. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work);
    this.#last = mine.catch(() => {});
    return mine;
  }

  /** Resolves when all work that has been asked for so far is over. */
  async over(): Promise<void> {
    await this.#last;
  }
}

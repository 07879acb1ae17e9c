/**
 * The handles that an owner has given out: each is closed once, and all before their owner.
 */
export class Handles {
  readonly #open = new Map<object, string>();

  /**
   * Makes the `close` of a handle.
   * @param what its kind, for messages
   * @returns a function that runs `release` once and throws when called again
   */
  closer(what: string, release: () => void): () => void {
    const key = {};
    this.#open.set(key, what);
    return () => {
      if (!this.#open.delete(key)) throw new Error(`a ${what} was closed twice, or after its driver`);
      release();
    };
  }

  /** What is still open, such as `2 × event`. */
  leaks(): string[] {
    const counts = new Map<string, number>();
    for (const what of this.#open.values()) counts.set(what, (counts.get(what) ?? 0) + 1);
    return [...counts].map(([what, count]) => `${count} × ${what}`);
  }

  /** @throws Error naming what was never closed */
  expectNone(): void {
    const leaks = this.leaks();
    if (leaks.length > 0)
      throw new Error(`a CUDA driver was closed before what it gave out: ${leaks.join(', ')}`);
  }
}

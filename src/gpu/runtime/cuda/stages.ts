import { StageProgress } from './stage-progress.js';

/** How far the stages of one component's weights are, for who runs it. */
export class Stages {
  readonly progress = new StageProgress();
  #begun: Promise<unknown> = Promise.resolve();
  #begin: () => void = () => {};
  /** So many stages are in place. */
  #reached = 0;

  /** @param ends where each stage's weights end in their arena */
  constructor(private readonly ends: readonly number[]) {}

  /** Resolves when the first stage is in place. Rejects with what kept it from that. */
  get begun(): Promise<unknown> {
    return this.#begun;
  }

  /** Begins anew. @param ready settles when all weights are in place, or will not be */
  follow(ready: Promise<unknown>): void {
    this.#reached = 0;
    this.progress.reached(0);
    this.#begun = new Promise((resolve, reject) => {
      this.#begin = () => resolve(undefined);
      ready
        .then(() => this.placed(Number.POSITIVE_INFINITY))
        .catch((error: unknown) => {
          this.failed();
          reject(error);
        });
    });
    this.#begun.catch(() => {});
  }

  /** @param end up to there in the arena all weights are in place */
  placed(end: number): void {
    const { ends } = this;
    while (this.#reached < ends.length && (ends[this.#reached] as number) <= end) this.#reached++;
    if (this.#reached === 0) return;
    this.progress.reached(this.#reached);
    this.#begin();
  }

  /** What was in place is not, and the rest will not come. */
  failed(): void {
    this.#reached = 0;
    this.progress.failed();
  }
}

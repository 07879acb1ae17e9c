import { StageProgress } from './stage-progress.js';

/** How far the stages of one component's weights are, for who runs it. */
export class Stages {
  readonly progress = new StageProgress();
  #begun: Promise<unknown> = Promise.resolve();
  #begin: () => void = () => {};
  /** So many stages are in place. */
  #reached = 0;
  #isLapsed = false;

  /** @param ends where each stage's weights end in their arena */
  constructor(private readonly ends: readonly number[]) {}

  /** Whether a run may begin before all weights are in place. */
  get areSeveral(): boolean {
    return this.ends.length > 1;
  }

  /** Resolves when the first stage is in place. Rejects with what kept it from that. */
  get begun(): Promise<unknown> {
    return this.#begun;
  }

  /** Begins anew. @param ready settles when all weights are in place, or will not be */
  follow(ready: Promise<unknown>): void {
    this.#reached = 0;
    this.#isLapsed = false;
    this.progress.reached(0);
    this.#begun = new Promise((resolve, reject) => {
      this.#begin = () => resolve(undefined);
      ready
        .then(() => this.placed(Number.POSITIVE_INFINITY))
        .catch((error: unknown) => {
          this.#fail();
          reject(error);
        });
    });
    this.#begun.catch(() => {});
  }

  /**
   * The same of what somebody else brings. It counts as arrived once it was looked at: a run must not end before that.
   * After `lapse` it counts for nothing, however late it is told.
   */
  placedByLender(end: number): void {
    const last = this.ends.at(-1) ?? 0;
    if (!this.#isLapsed) this.placed(Math.min(end, last - 1));
  }

  /** @param end up to there in the arena all weights are in place */
  placed(end: number): void {
    const { ends } = this;
    while (this.#reached < ends.length && (ends[this.#reached] as number) <= end) this.#reached++;
    if (this.#reached === 0) return;
    this.progress.reached(this.#reached);
    this.#begin();
  }

  /** What somebody else has brought will not do: runs that wait for the rest fail, and others come in its place. */
  lapse(): void {
    this.#isLapsed = true;
    this.#fail();
  }

  #fail(): void {
    this.#reached = 0;
    this.progress.failed();
  }
}

import { performance } from 'node:perf_hooks';

/** So long after the last thing happened, looking at every turn of the event loop costs more than it gains. */
const EAGER_MS = 20;

/**
 * Calls `look` again and again without blocking the event loop, as long as it says that something is still to come:
 * the driver can't call us back without a thread of its own. At every turn while things happen, else every millisecond.
 */
export class Poller {
  #isScheduled = false;
  #lastChange = 0;

  /** @param look says whether something happened and whether more is awaited */
  constructor(private readonly look: () => { readonly changed: boolean; readonly pending: boolean }) {}

  /** To be called when there is something new to look for. */
  wake(): void {
    this.#lastChange = performance.now();
    if (!this.#isScheduled) this.#schedule();
  }

  #schedule(): void {
    this.#isScheduled = true;
    if (performance.now() - this.#lastChange < EAGER_MS) setImmediate(this.#turn);
    else setTimeout(this.#turn, 1);
  }

  readonly #turn = () => {
    this.#isScheduled = false;
    const { changed, pending } = this.look();
    if (changed) this.#lastChange = performance.now();
    if (pending && !this.#isScheduled) this.#schedule();
  };
}

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

/** What `EventWaiter` needs of an event. */
interface Queried {
  isDone(): boolean;
}

interface Waiting {
  readonly event: Queried;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Promises for events of a driver that can only be asked whether they are done. */
export class EventWaiter {
  #waiting: Waiting[] = [];
  readonly #poller = new Poller(() => this.#look());

  /** @throws what the work before the event failed with */
  wait(event: Queried): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ event, resolve, reject });
      this.#poller.wake();
    });
  }

  #look(): { changed: boolean; pending: boolean } {
    const before = this.#waiting.length;
    this.#waiting = this.#waiting.filter(({ event, resolve, reject }) => {
      try {
        if (!event.isDone()) return true;
        resolve();
      } catch (error) {
        reject(error);
      }
      return false;
    });
    return { changed: this.#waiting.length < before, pending: this.#waiting.length > 0 };
  }
}

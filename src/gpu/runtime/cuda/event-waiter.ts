import { Poller } from './poller.js';

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

/** An engine that shares a device with others, as they see it. */
export interface Tenant {
  /** Whether it has, or is about to take, memory of the device. */
  isResident(): boolean;
  /** Gives its memory back. Called only while nobody uses the device. Never rejects: an engine that can't is ended. */
  release(): Promise<void>;
}

/** What may be done in a turn. */
export interface Turn {
  /** Lets others give memory back, whoever has not used it for longest first, until one more may have some. */
  enter(): Promise<void>;
  /** Lets one more of them give memory back: what it had was not enough. @returns false where no other has any */
  makeRoom(): Promise<boolean>;
}

export interface Turns {
  /**
   * Does something on the device while nobody else does. Whoever has waited longest is next, so a model with a backlog
   * keeps nobody out.
   * @throws the signal's reason where it is aborted before its turn
   */
  take<T>(work: (turn: Turn) => Promise<T>, signal: AbortSignal): Promise<T>;
}

interface Seat {
  readonly tenant: Tenant;
  /** A number that grows with every use. */
  usedAt: number;
}

interface Waiting {
  begin(): void;
}

/** Lets engines take turns on one device, and no more than so many of them have memory there. */
export class Residents {
  readonly #seats: Seat[] = [];
  readonly #waiting: Waiting[] = [];
  #isTaken = false;
  #uses = 0;

  /** @param limit how many engines may have memory of the device at the same time */
  constructor(private readonly limit = 1) {}

  admit(tenant: Tenant): Turns {
    const seat: Seat = { tenant, usedAt: 0 };
    this.#seats.push(seat);
    return { take: (work, signal) => this.#take(seat, work, signal) };
  }

  async #take<T>(seat: Seat, work: (turn: Turn) => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#begin(signal);
    try {
      return await work({
        enter: async () => {
          seat.usedAt = ++this.#uses;
          while (this.#others(seat).length >= this.limit && (await this.#releaseOne(seat)));
        },
        makeRoom: () => this.#releaseOne(seat),
      });
    } finally {
      this.#end();
    }
  }

  /** Those that have memory, beside this one; whoever has not used it for longest is first. */
  #others(seat: Seat): Seat[] {
    return this.#seats
      .filter((other) => other !== seat && other.tenant.isResident())
      .sort((a, b) => a.usedAt - b.usedAt);
  }

  async #releaseOne(seat: Seat): Promise<boolean> {
    const [other] = this.#others(seat);
    await other?.tenant.release();
    return other !== undefined;
  }

  async #begin(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!this.#isTaken) {
      this.#isTaken = true;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const abort = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason);
      };
      const waiting: Waiting = {
        begin() {
          signal.removeEventListener('abort', abort);
          resolve();
        },
      };
      this.#waiting.push(waiting);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  #end(): void {
    const next = this.#waiting.shift();
    // The device goes from hand to hand: nobody gets in between.
    if (next) next.begin();
    else this.#isTaken = false;
  }
}

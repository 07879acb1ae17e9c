/*
 * How far the weights of a session are, told by whoever brings them to the thread that runs it: that thread stands still
 * until the stage that it comes to can be computed.
 */

/** Word 0: so many stages have their weights in place; or that they will not come. */
const STAGES = 0;
const FAILED = -1;
/** Word 1: the last run that is not wanted any more. */
const UNWANTED = 1;
/** Word 2: how often the others have changed, for a thread to sleep on: what changes while it looks at them wakes it. */
const CHANGES = 2;
const WORDS = 3;

/** The side of whoever brings the weights. */
export class StageProgress {
  readonly shared = new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT);
  readonly #words = new Int32Array(this.shared);

  get isFailed(): boolean {
    return Atomics.load(this.#words, STAGES) === FAILED;
  }

  /** @param count how many stages, the first ones, have their weights in place */
  reached(count: number): void {
    this.#set(STAGES, count);
  }

  /** They will not come: runs that wait for them fail. */
  failed(): void {
    this.#set(STAGES, FAILED);
  }

  /** Runs up to that number fail, should they wait. */
  giveUp(run: number): void {
    this.#set(UNWANTED, run);
  }

  #set(word: number, value: number): void {
    Atomics.store(this.#words, word, value);
    Atomics.add(this.#words, CHANGES, 1);
    Atomics.notify(this.#words, CHANGES);
  }
}

/** The side of the thread that runs. */
export class StageWait {
  readonly #words: Int32Array;
  #run = 0;
  #waits = false;

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared);
  }

  /** Says which run begins. @param waits whether it waits for weights; others take what is there */
  begin(run: number, waits: boolean): void {
    this.#run = run;
    this.#waits = waits;
  }

  /**
   * Returns when the weights of that stage are in place.
   * @throws Error where they will not come, or the run is not wanted any more
   */
  wait(stage: number): void {
    while (this.#waits) {
      const changes = Atomics.load(this.#words, CHANGES);
      const reached = Atomics.load(this.#words, STAGES);
      if (reached === FAILED) throw new Error('the weights that this run waits for will not come');
      if (reached > stage) return;
      if (Atomics.load(this.#words, UNWANTED) >= this.#run)
        throw new Error('this run is not wanted any more');
      Atomics.wait(this.#words, CHANGES, changes);
    }
  }
}

import { OutOfMemory } from '../../../contract/errors.js';
import {
  type AddressRange,
  type CudaDriver,
  type DeviceAddress,
  type DeviceFacts,
  type PhysicalMemory,
  roundUp,
} from './driver.js';
import {
  type CopyRun,
  joinNeighbours,
  layOut,
  type NamedTensor,
  type WeightLayout,
} from './weight-layout.js';

export interface WeightArenaOptions {
  /** Bytes of each piece of physical memory, but the last. Default: 4 GiB. */
  readonly pieceBytes?: number;
  /** Whether its memory can be handed to other processes. Default: false. */
  readonly shareable?: boolean;
  /** Memory of another process, in the order of its addresses, instead of its own. See `resume`. */
  readonly lent?: readonly PhysicalMemory[] | undefined;
}

const PIECE_BYTES = 4 * 2 ** 30;

/**
 * The weights of one component in device memory: one range of addresses, which stay what they are while the memory
 * behind them comes and goes. So whatever was made over the addresses needs not be made again.
 */
export class WeightArena {
  /** Bytes of device memory that it takes while it is mapped. */
  readonly mappedBytes: number;
  /** Bytes of weights. */
  readonly bytes: number;
  /** All that has to be copied. */
  readonly plan: readonly CopyRun[];
  readonly #range: AddressRange;
  readonly #offsets: ReadonlyMap<string, number>;
  readonly #pieceBytes: number;
  readonly #shareable: boolean;
  #pieces: readonly PhysicalMemory[] = [];
  #isLent = false;
  #missing: readonly CopyRun[];
  #isLoading = false;
  #isClosed = false;

  /**
   * Takes addresses and memory for weights, which are not there until they are streamed.
   * @param component its name, for messages
   * @param weights in the order of their use, or where they lie
   * @throws OutOfMemory where the device has no room for them
   */
  constructor(
    private readonly driver: CudaDriver,
    readonly component: string,
    weights: readonly NamedTensor[] | Pick<WeightLayout, 'plan' | 'offsets' | 'extent'>,
    { pieceBytes = PIECE_BYTES, shareable = false, lent }: WeightArenaOptions = {},
  ) {
    const { plan, offsets, extent } = 'plan' in weights ? weights : layOut(weights);
    this.plan = plan;
    this.bytes = plan.reduce((sum, { length }) => sum + length, 0);
    this.#missing = plan;
    this.#offsets = offsets;
    this.#pieceBytes = roundUp(pieceBytes, driver.granularity);
    this.mappedBytes = roundUp(Math.max(extent, 1), driver.granularity);
    this.#shareable = shareable;
    this.#range = driver.reserve(this.mappedBytes);
    try {
      this.resume(lent);
    } catch (error) {
      driver.unreserve(this.#range);
      throw error;
    }
  }

  /** First address, the same for the arena's whole life. A multiple of 256, as that of each weight. */
  get address(): DeviceAddress {
    return this.#range.address;
  }

  /** Whether there is memory behind the addresses. */
  get isMapped(): boolean {
    return this.#pieces.length > 0;
  }

  /** Whether the memory is another process's, which brings the weights into it. */
  get isLent(): boolean {
    return this.#isLent;
  }

  /** The memory behind the addresses, in their order. */
  get pieces(): readonly PhysicalMemory[] {
    return this.#pieces;
  }

  /** Whether every weight is in its place. */
  get isLoaded(): boolean {
    return this.isMapped && this.#missing.length === 0 && !this.#isLoading;
  }

  /** @throws Error where no weight has that name */
  addressOf(name: string): DeviceAddress {
    const offset = this.#offsets.get(name);
    if (offset === undefined) throw new Error(`${this.component}: expected one of its weights, got ${name}`);
    return this.#range.address + BigInt(offset);
  }

  /**
   * Says that a stream begins to write here.
   * @param everything whether what is in place already shall be written once more
   * @returns what it has to copy
   */
  beginLoading({ everything = false } = {}): readonly CopyRun[] {
    if (!this.isMapped)
      throw new Error(`${this.component}: expected resume() before its weights are streamed`);
    if (this.#isLent)
      throw new Error(`${this.component}: expected its own memory to stream into, it is lent`);
    if (this.#isLoading) throw new Error(`${this.component}: its weights are being streamed already`);
    this.#isLoading = true;
    if (everything) this.#missing = this.plan;
    return this.#missing;
  }

  /** Says that the stream has ended. @param missing what it did not bring into its place, in any order */
  endLoading(missing: readonly CopyRun[]): void {
    this.#isLoading = false;
    this.#missing = joinNeighbours([...missing].sort((a, b) => a.arenaOffset - b.arenaOffset));
  }

  /** Says that whoever lends the memory has brought all weights into it. */
  arrived(): void {
    if (!this.#isLent) throw new Error(`${this.component}: expected lent memory`);
    this.#missing = [];
  }

  /** Gives the device's memory back and keeps the addresses. No work that reads them may be under way. */
  release(): void {
    if (this.#isLoading) throw new Error(`${this.component}: expected its stream to end before release()`);
    if (!this.isMapped) return;
    this.#unmap(this.#pieces);
    for (const piece of this.#pieces) piece.close();
    this.#pieces = [];
    this.#isLent = false;
    this.#missing = this.plan;
  }

  /**
   * Takes memory again; the weights have to be streamed again.
   * @param lent memory of another process that streams them, or has done so, in the order of its addresses: mapped to be
   * read only, and closed with the arena, or where this fails
   * @throws OutOfMemory where the device has no room for them: then it stays as it was
   */
  resume(lent?: readonly PhysicalMemory[]): void {
    if (this.#isClosed) throw new Error(`${this.component}: its arena is closed`);
    if (this.isMapped) return;
    const pieces: PhysicalMemory[] = [...(lent ?? [])];
    let mapped = 0;
    let at = 0;
    try {
      while (at < this.mappedBytes) {
        if (!lent) pieces.push(this.#create(Math.min(this.#pieceBytes, this.mappedBytes - at)));
        const piece = pieces[mapped];
        if (!piece || at + piece.bytes > this.mappedBytes) throw this.#wrongSize(pieces);
        this.driver.map(this.#range.address + BigInt(at), piece, lent ? 'read' : 'read and write');
        mapped++;
        at += piece.bytes;
      }
      if (mapped < pieces.length) throw this.#wrongSize(pieces);
    } catch (error) {
      this.#unmap(pieces.slice(0, mapped));
      for (const piece of pieces) piece.close();
      throw error instanceof OutOfMemory ? this.#noRoom(error) : error;
    }
    this.#pieces = pieces;
    this.#isLent = lent !== undefined;
  }

  /** Gives back memory and addresses. */
  close(): void {
    this.release();
    this.driver.unreserve(this.#range);
    this.#isClosed = true;
  }

  #create(bytes: number): PhysicalMemory {
    return this.driver.createPhysical(bytes, { shareable: this.#shareable });
  }

  #unmap(pieces: readonly PhysicalMemory[]): void {
    let address = this.#range.address;
    for (const { bytes } of pieces) {
      this.driver.unmap({ address, bytes });
      address += BigInt(bytes);
    }
  }

  #wrongSize(pieces: readonly PhysicalMemory[]): Error {
    const got = pieces.map(({ bytes }) => bytes).join(' + ');
    return new Error(`${this.component}: expected ${this.mappedBytes} bytes of lent memory, got ${got}`);
  }

  #noRoom(cause: OutOfMemory): OutOfMemory {
    const { freeBytes } = this.driver.memory();
    const what = `the weights of ${this.component}`;
    return noRoomFor(what, this.mappedBytes, this.driver.facts, freeBytes, cause);
  }
}

/** What is told of weights that the device has no room for. */
export function noRoomFor(
  what: string,
  needed: number,
  { name, totalBytes }: DeviceFacts,
  freeBytes: number,
  cause: OutOfMemory,
): OutOfMemory {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;
  return new OutOfMemory(
    `${what} need ${gigabytes(needed)} of device memory, ${name} has ${gigabytes(freeBytes)} of ${gigabytes(totalBytes)} free; end what else uses it (\`nvidia-smi\` names it), or use a smaller model or a larger GPU [needed=${needed}, free=${freeBytes}]`,
    { cause },
  );
}

import { OutOfMemory } from '../../../contract/errors.js';
import type { StoredTensor } from '../../checkpoint/safetensors.js';
import {
  type AddressRange,
  type CudaDriver,
  type DeviceAddress,
  type DeviceFacts,
  type PhysicalMemory,
  roundUp,
} from './driver.js';

/** A tensor that a graph uses. */
export interface NamedTensor extends StoredTensor {
  readonly name: string;
}

/** Bytes of a file that are neighbours in the arena too. */
export interface CopyRun {
  readonly file: string;
  readonly fileOffset: number;
  readonly arenaOffset: number;
  readonly length: number;
}

export interface WeightArenaOptions {
  /** Bytes of each piece of physical memory, but the last. Default: 4 GiB. */
  readonly pieceBytes?: number;
}

/** What CUDA's own allocator gives, and what kernels that load 16 bytes at a time count on. */
const ALIGNMENT = 256;
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
  /** All that has to be copied: file after file in the order of their first use, from each file's beginning to its end. */
  readonly plan: readonly CopyRun[];
  readonly #range: AddressRange;
  readonly #offsets: ReadonlyMap<string, number>;
  readonly #pieceBytes: number;
  #pieces: PhysicalMemory[] = [];
  #missing: readonly CopyRun[];
  #isLoading = false;
  #isClosed = false;

  /**
   * Takes addresses and memory for weights, which are not there until they are streamed.
   * @param component its name, for messages
   * @param weights in the order of their use. A name may come twice; names of the same bytes share an address
   * @throws OutOfMemory where the device has no room for them
   */
  constructor(
    private readonly driver: CudaDriver,
    readonly component: string,
    weights: readonly NamedTensor[],
    { pieceBytes = PIECE_BYTES }: WeightArenaOptions = {},
  ) {
    const { plan, offsets, end } = layOut(weights);
    this.plan = plan;
    this.bytes = plan.reduce((sum, { length }) => sum + length, 0);
    this.#missing = plan;
    this.#offsets = offsets;
    this.#pieceBytes = roundUp(pieceBytes, driver.granularity);
    this.mappedBytes = roundUp(Math.max(end, 1), driver.granularity);
    this.#range = driver.reserve(this.mappedBytes);
    try {
      this.resume();
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

  /** Gives the device's memory back and keeps the addresses. No work that reads them may be under way. */
  release(): void {
    if (this.#isLoading) throw new Error(`${this.component}: expected its stream to end before release()`);
    if (!this.isMapped) return;
    this.#unmap(this.#pieces);
    for (const piece of this.#pieces) piece.close();
    this.#pieces = [];
    this.#missing = this.plan;
  }

  /**
   * Takes memory again; the weights have to be streamed again.
   * @throws OutOfMemory where the device has no room for them: then it stays as it was
   */
  resume(): void {
    if (this.#isClosed) throw new Error(`${this.component}: its arena is closed`);
    if (this.isMapped) return;
    const pieces: PhysicalMemory[] = [];
    const mapped: PhysicalMemory[] = [];
    try {
      for (let at = 0; at < this.mappedBytes; at += this.#pieceBytes) {
        const piece = this.driver.createPhysical(Math.min(this.#pieceBytes, this.mappedBytes - at));
        pieces.push(piece);
        this.driver.map(this.#range.address + BigInt(at), piece);
        mapped.push(piece);
      }
    } catch (error) {
      this.#unmap(mapped);
      for (const piece of pieces) piece.close();
      throw error instanceof OutOfMemory ? this.#noRoom(error) : error;
    }
    this.#pieces = pieces;
  }

  /** Gives back memory and addresses. */
  close(): void {
    this.release();
    this.driver.unreserve(this.#range);
    this.#isClosed = true;
  }

  #unmap(pieces: readonly PhysicalMemory[]): void {
    pieces.forEach(({ bytes }, index) => {
      this.driver.unmap({ address: this.#range.address + BigInt(index * this.#pieceBytes), bytes });
    });
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

/**
 * Where each weight goes. Inside a file the file's order is kept, not that of use: neighbours there are neighbours here,
 * so that copies are large; nothing can run before the whole component is there anyway.
 */
function layOut(weights: readonly NamedTensor[]): {
  plan: CopyRun[];
  offsets: Map<string, number>;
  end: number;
} {
  const files = new Map<string, NamedTensor[]>();
  for (const weight of weights) {
    const others = files.get(weight.file);
    if (others) others.push(weight);
    else files.set(weight.file, [weight]);
  }
  const runs: CopyRun[] = [];
  const offsets = new Map<string, number>();
  let end = 0;
  for (const tensors of files.values()) {
    // An empty tensor before the one that begins where it does.
    tensors.sort((a, b) => a.offset - b.offset || a.length - b.length);
    let last: NamedTensor | undefined;
    for (const tensor of tensors) {
      const isSame = last?.offset === tensor.offset && last.length === tensor.length;
      const arenaOffset = isSame && last ? (offsets.get(last.name) ?? 0) : roundUp(end, ALIGNMENT);
      const known = offsets.get(tensor.name);
      if (known !== undefined && known !== arenaOffset) {
        throw new Error(`expected one place for the weight ${tensor.name}, got two of them`);
      }
      offsets.set(tensor.name, arenaOffset);
      if (!isSame) {
        end = arenaOffset + tensor.length;
        const { file, offset: fileOffset, length } = tensor;
        if (length > 0) runs.push({ file, fileOffset, arenaOffset, length });
      }
      last = tensor;
    }
  }
  return { plan: joinNeighbours(runs), offsets, end };
}

/** Makes one of what is neighbours in the file and in the arena. */
function joinNeighbours(runs: readonly CopyRun[]): CopyRun[] {
  const joined: CopyRun[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (
      last?.file === run.file &&
      last.fileOffset + last.length === run.fileOffset &&
      last.arenaOffset + last.length === run.arenaOffset
    ) {
      joined[joined.length - 1] = { ...last, length: last.length + run.length };
    } else {
      joined.push(run);
    }
  }
  return joined;
}

import { close, constants, open, openSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { CheckpointInvalid, StorageUnavailable } from '../../../contract/errors.js';
import { errorCode } from '../../../storage/file-error.js';

/** Unit of direct reads: the block size of every disk and file system that we know of divides it. */
export const DIRECT_UNIT = 4096;

const openFile = promisify(open);
const closeFile = promisify(close);

/** Called once for each read. */
export type ReadDone = (error: Error | undefined, skip: number) => void;

/**
 * A file of weights, open for reading at any place, by several reads at a time. Raw descriptors and callbacks: at ten
 * thousand reads a second, promises cost more than the reads.
 */
export class WeightFile {
  /** Descriptors that were opened; the last one is in use. */
  readonly #descriptors: number[];
  #isDirect: boolean;

  private constructor(
    readonly path: string,
    descriptor: number,
    isDirect: boolean,
  ) {
    this.#descriptors = [descriptor];
    this.#isDirect = isDirect;
  }

  /**
   * @param direct past the page cache, where the file system can
   * @throws CheckpointInvalid where there is no such file, StorageUnavailable where it can't be opened
   */
  static async open(path: string, { direct = false } = {}): Promise<WeightFile> {
    try {
      if (direct && constants.O_DIRECT !== undefined) {
        try {
          return new WeightFile(path, await openFile(path, constants.O_RDONLY | constants.O_DIRECT), true);
        } catch (error) {
          if (errorCode(error) !== 'EINVAL') throw error;
        }
      }
      return new WeightFile(path, await openFile(path, constants.O_RDONLY), false);
    } catch (cause) {
      const code = errorCode(cause);
      const isMissing = code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR';
      const message = `${path}: expected a readable file of weights, got ${code}`;
      throw isMissing
        ? new CheckpointInvalid(`${message}; fetch the model again`, { cause })
        : new StorageUnavailable(message, { cause });
    }
  }

  /** Whether reads go past the page cache. It may become false with the first read. */
  get isDirect(): boolean {
    return this.#isDirect;
  }

  /**
   * Reads `length` bytes from `offset` on, wholly or not at all.
   * @param into page-aligned memory, with room for the blocks that the bytes lie in
   * @param done gets what went wrong, else where in `into` the bytes begin
   */
  read(into: Uint8Array, offset: number, length: number, done: ReadDone): void {
    if (this.#isDirect) this.#readDirectly(into, offset, length, 0, done);
    else this.#readOn(into, offset, length, 0, done);
  }

  async close(): Promise<void> {
    for (const descriptor of this.#descriptors) await closeFile(descriptor);
  }

  get #descriptor(): number {
    return this.#descriptors.at(-1) as number;
  }

  #readOn(into: Uint8Array, offset: number, length: number, got: number, done: ReadDone): void {
    read(this.#descriptor, into, got, length - got, offset + got, (error, count) => {
      if (error) done(this.#unreadable(error, offset + got, length - got), 0);
      else if (count === 0) done(this.#tooShort(offset + got, offset + length), 0);
      else if (got + count < length) this.#readOn(into, offset, length, got + count, done);
      else done(undefined, 0);
    });
  }

  /** @param got what is there already, from the beginning of the first block on */
  #readDirectly(into: Uint8Array, offset: number, length: number, got: number, done: ReadDone): void {
    const skip = offset % DIRECT_UNIT;
    const start = offset - skip;
    const blocks = Math.ceil((skip + length) / DIRECT_UNIT) * DIRECT_UNIT;
    read(this.#descriptor, into, got, blocks - got, start + got, (error, count) => {
      if (errorCode(error) === 'EINVAL') {
        // Some file systems open with O_DIRECT and refuse to read, or want larger blocks.
        this.#readThroughCache(into, offset, length, done);
        return;
      }
      if (error) {
        done(this.#unreadable(error, start + got, blocks - got), 0);
        return;
      }
      const total = got + count;
      if (total >= skip + length) {
        done(undefined, skip);
        return;
      }
      // What follows has to begin at a block's border again. A part of a block comes at the file's end, if at all.
      const whole = total - (total % DIRECT_UNIT);
      if (count === 0) done(this.#tooShort(start + total, offset + length), 0);
      else if (whole === got) this.#readThroughCache(into, offset, length, done);
      else this.#readDirectly(into, offset, length, whole, done);
    });
  }

  /** Gives direct reads of this file up and begins a read again. */
  #readThroughCache(into: Uint8Array, offset: number, length: number, done: ReadDone): void {
    if (this.#isDirect) {
      try {
        this.#descriptors.push(openSync(this.path, constants.O_RDONLY));
      } catch (error) {
        done(this.#unreadable(error as Error, offset, length), 0);
        return;
      }
      this.#isDirect = false;
    }
    this.#readOn(into, offset, length, 0, done);
  }

  #unreadable(cause: Error, offset: number, length: number): StorageUnavailable {
    return new StorageUnavailable(
      `${this.path}: can't read ${length} bytes at byte ${offset}: ${errorCode(cause) ?? cause.message}; check the disk (\`dmesg\`) or fetch the model again`,
      { cause },
    );
  }

  #tooShort(end: number, expected: number): CheckpointInvalid {
    return new CheckpointInvalid(
      `${this.path}: expected weights up to byte ${expected}, the file ends at byte ${end}; it was cut off, fetch it again`,
    );
  }
}

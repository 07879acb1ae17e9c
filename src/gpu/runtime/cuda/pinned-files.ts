import { setImmediate as turn } from 'node:timers/promises';
import { DeviceLost } from '../../../contract/errors.js';
import { fileStamp } from '../../checkpoint/file-stamps.js';
import type { AddressRange, CudaDriver } from './driver.js';
import { type CachedFile, type HostCache, liesInMemory } from './host-cache.js';
import { type MappedFile, mapFile } from './memory-mapping.js';

export interface PinnedFilesOptions {
  /** Where copies of files may lie in memory. */
  readonly cache?: HostCache;
  /**
   * Bytes that are pinned at a time, a multiple of the page size: meanwhile this thread does nothing else. Default:
   * 32 MiB, of which an H100's host takes 2 to 3 ms.
   */
  readonly pieceBytes?: number;
}

const PIECE_BYTES = 32 * 2 ** 20;

/**
 * Files that lie in memory (tmpfs), mapped and pinned where they lie: the device then reads them by itself, faster than
 * through a buffer that the processor fills, and without the processor. Pinning takes longer than reading a file once,
 * so it is for files that will be read again. Pinned pages stay in memory whatever becomes of the file.
 */
export class PinnedFiles {
  readonly #files = new Map<string, PinnedFile>();
  readonly #pieceBytes: number;

  constructor(
    private readonly driver: CudaDriver,
    private readonly options: PinnedFilesOptions = {},
  ) {
    this.#pieceBytes = options.pieceBytes ?? PIECE_BYTES;
  }

  /**
   * Pins files, or what is missing of them, in their order; those that don't lie in memory, nor have a copy there, are
   * left out. May be called again once it has ended.
   * @returns which are pinned in part at most, and why
   * @throws DeviceLost; the signal's reason: what is pinned by then stays so
   */
  async pin(files: Iterable<string>, { signal }: { readonly signal?: AbortSignal } = {}): Promise<string[]> {
    const reasons: string[] = [];
    for (const file of new Set(files)) {
      signal?.throwIfAborted();
      try {
        const pinned = (await this.find(file)) ?? (await this.#open(file));
        while (pinned?.pinMore(this.driver)) {
          await turn();
          signal?.throwIfAborted();
        }
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof DeviceLost) throw error;
        reasons.push(`${file}: ${error instanceof Error ? error.message : error}`);
      }
    }
    return reasons;
  }

  /** @returns undefined where nothing is pinned of the file as it is now */
  async find(file: string): Promise<PinnedFile | undefined> {
    const pinned = this.#files.get(file);
    if (!pinned) return undefined;
    pinned.used();
    const now = await fileStamp(file).catch(() => undefined);
    return now?.stamp === pinned.stamp ? pinned : undefined;
  }

  /** Bytes of all that is pinned. */
  get bytes(): number {
    return [...this.#files.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Lets go what nobody has looked for in so long. Nothing may read it any more. */
  releaseUnused(idleMs: number): void {
    const unused = [...this.#files].filter(([, pinned]) => pinned.idleMs >= idleMs);
    this.release(unused.map(([file]) => file));
  }

  /** Lets go what is pinned. Nothing may read it any more. @param files Default: all of them */
  release(files: Iterable<string> = [...this.#files.keys()]): void {
    for (const file of files) {
      this.#files.get(file)?.close();
      this.#files.delete(file);
    }
  }

  async #open(file: string): Promise<PinnedFile | undefined> {
    // Another file had that name.
    this.release([file]);
    const { stamp } = await fileStamp(file);
    const copy = await this.options.cache?.find(file);
    try {
      const path = copy?.path ?? (liesInMemory(file) ? file : undefined);
      if (path === undefined) return undefined;
      const pinned = new PinnedFile(stamp, mapFile(path), copy, this.#pieceBytes);
      this.#files.set(file, pinned);
      return pinned;
    } catch (error) {
      copy?.close();
      throw error;
    }
  }
}

/** A file of which the beginning, or all of it, is pinned. */
export class PinnedFile {
  /** One for each piece. */
  readonly #unpins: (() => void)[] = [];
  #usedAt = performance.now();

  constructor(
    /** The file as it was mapped. */
    readonly stamp: string,
    private readonly mapped: MappedFile,
    private readonly copy: CachedFile | undefined,
    private readonly pieceBytes: number,
  ) {}

  get idleMs(): number {
    return performance.now() - this.#usedAt;
  }

  used(): void {
    this.#usedAt = performance.now();
  }

  /** Bytes of its beginning that are pinned. */
  get bytes(): number {
    return Math.min(this.#unpins.length * this.pieceBytes, this.mapped.bytes);
  }

  /** Where that byte of the file lies pinned, and how many from there on are so in one piece. */
  at(offset: number): AddressRange | undefined {
    return offset < this.bytes ? this.#toBorder(offset) : undefined;
  }

  /** Pins the next piece. @returns whether there are more */
  pinMore(driver: CudaDriver): boolean {
    if (this.bytes < this.mapped.bytes) this.#unpins.push(driver.pin(this.#toBorder(this.bytes)));
    return this.bytes < this.mapped.bytes;
  }

  close(): void {
    for (const unpin of this.#unpins) unpin();
    this.mapped.close();
    this.copy?.close();
  }

  /** From that byte of the file on to where its piece ends, pinned or not. */
  #toBorder(offset: number): AddressRange {
    const toBorder = this.pieceBytes - (offset % this.pieceBytes);
    return {
      address: this.mapped.address + BigInt(offset),
      bytes: Math.min(toBorder, this.mapped.bytes - offset),
    };
  }
}

import { createHash } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  ftruncateSync,
  futimesSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { freemem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode, fileError } from '../../../storage/file-error.js';
import { makePrivateFolder, userId } from '../../../storage/private-folder.js';
import { tryLock } from './file-lock.js';

export interface HostCacheOptions {
  /** A folder in shared memory (tmpfs), of this user alone. Default: `/dev/shm/temporal-diffusion-UID/weights`. */
  readonly folder?: string;
  /** The most bytes that are kept there. Default: three quarters of the file system. */
  readonly maxBytes?: number;
}

/** Where a file is to be read from. */
export interface CachedFile {
  /** The copy in memory, or the file itself. Good until `close`. */
  readonly path: string;
  /** Why it is the file itself; undefined where it is the copy. */
  readonly reason: string | undefined;
  /** Allows that the copy is thrown out for others. */
  close(): void;
}

export interface EnsureOptions {
  readonly signal?: AbortSignal;
}

/** `statfs`'s type of a file system that lies in memory. */
const TMPFS = 0x0102_1994;
/** Left to everything else on the host, which ends processes where it runs out. */
const SPARE_BYTES = 512 * 2 ** 20;
const COPY_BYTES = 4 * 2 ** 20;
const COPIES_AT_A_TIME = 8;
const LOCK_WAIT_MS = 5;
const FILL_WAIT_MS = 25;

const LOCK_FILE = '.lock';
const ENTRY = '.weights';
/** An entry that is being filled: its writer has it locked. It has its full size from the beginning. */
const PARTIAL = '.partial';

/**
 * Files of weights in shared memory, where they outlive the engines that read them: read from the disk once a host and
 * not once an engine. Any number of processes of one user use it at the same time. What is kept is known by its
 * file's identity (device, inode, size, times), so a file that changes is another one.
 */
export class HostCache {
  private constructor(
    readonly folder: string,
    readonly maxBytes: number,
  ) {}

  /**
   * @throws StorageRefused where the folder is not this user's alone: others could put weights there
   * @throws StorageUnavailable or StorageRefused where it can't be made
   */
  static open(options: HostCacheOptions = {}): HostCache {
    const folder = options.folder ?? defaultFolder();
    makePrivateFolder(folder);
    const { blocks, bsize } = statfsSync(folder);
    return new HostCache(folder, options.maxBytes ?? Math.floor(blocks * bsize * 0.75));
  }

  /**
   * Where to read a file from: its copy in memory, which is made if it isn't there and there is room, else the file
   * itself. While another process makes the copy, waits for it.
   * @throws StorageUnavailable where the file can't be read, or the signal's reason
   */
  async ensure(file: string, { signal }: EnsureOptions = {}): Promise<CachedFile> {
    const source = await open(file, 'r').catch((error: unknown) => {
      throw fileError(error, 'read', file);
    });
    try {
      const facts = await source.stat({ bigint: true });
      if (liesInMemory(file)) return itself(file, 'it lies in memory already');
      const key = keyOf(facts);
      for (;;) {
        const found = await this.#exclusively(() => this.#findOrBegin(key, Number(facts.size)), signal);
        if (found === 'is being filled') await pause(FILL_WAIT_MS, signal);
        else if (typeof found === 'object') return this.#inUse(found.descriptor, key);
        else if (typeof found === 'string') return itself(file, found);
        else return await this.#fill(key, found, source, facts, file, signal);
      }
    } finally {
      await source.close();
    }
  }

  /** The copy of a file, where there is one. @throws what the file system throws about the file */
  async find(file: string): Promise<CachedFile | undefined> {
    const key = keyOf(statSync(file, { bigint: true }));
    const found = await this.#exclusively(() => this.#findEntry(key));
    return found && this.#inUse(found.descriptor, key);
  }

  /**
   * Copies files into memory for whoever reads them next, as far as there is room.
   * @returns which are not there, and why
   * @throws what `ensure` throws
   */
  async keep(files: Iterable<string>, options: EnsureOptions = {}): Promise<string[]> {
    const kept: CachedFile[] = [];
    try {
      // All are in use until the last one is there: else one would push out the other, at every start again.
      for (const file of new Set(files)) kept.push(await this.ensure(file, options));
      return kept.flatMap(({ path, reason }) => (reason === undefined ? [] : [`${path}: ${reason}`]));
    } finally {
      for (const file of kept) file.close();
    }
  }

  /** Bytes of all that is kept, and being filled. */
  usedBytes(): number {
    return this.#entries().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /**
   * Under the folder's lock.
   * @returns the entry, locked for use; or the descriptor of a file to fill, locked; or why there is neither
   */
  #findOrBegin(key: string, bytes: number): { descriptor: number } | number | string {
    const entry = this.#findEntry(key);
    if (entry) return entry;
    const partial = join(this.folder, `${key}${PARTIAL}`);
    this.#removeAbandoned();
    if (exists(partial)) return 'is being filled';
    const lack = this.#makeRoom(bytes);
    if (lack !== undefined) return lack;
    const descriptor = openSync(partial, 'wx', 0o600);
    tryLock(descriptor);
    ftruncateSync(descriptor, bytes);
    return descriptor;
  }

  #findEntry(key: string): { descriptor: number } | undefined {
    try {
      const descriptor = openSync(join(this.folder, `${key}${ENTRY}`), 'r');
      // Only who throws it out locks it otherwise, and needs the folder's lock for that.
      tryLock(descriptor, { shared: true });
      markUsed(descriptor);
      return { descriptor };
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  #inUse(descriptor: number, key: string): CachedFile {
    let isOpen = true;
    return {
      path: join(this.folder, `${key}${ENTRY}`),
      reason: undefined,
      close: () => {
        if (!isOpen) throw new Error(`a cached file was closed twice [key=${key}]`);
        isOpen = false;
        markUsed(descriptor);
        closeSync(descriptor);
      },
    };
  }

  async #fill(
    key: string,
    descriptor: number,
    source: FileHandle,
    facts: BigIntStats,
    file: string,
    signal: AbortSignal | undefined,
  ): Promise<CachedFile> {
    const partial = join(this.folder, `${key}${PARTIAL}`);
    try {
      const lack = await copyAll(source, partial, Number(facts.size), file, signal);
      const isSame = keyOf(await source.stat({ bigint: true })) === key;
      if (lack === undefined && isSame) {
        return await this.#exclusively(() => {
          renameSync(partial, join(this.folder, `${key}${ENTRY}`));
          tryLock(descriptor, { shared: true });
          return this.#inUse(descriptor, key);
        });
      }
      rmSync(partial);
      closeSync(descriptor);
      return itself(file, lack ?? 'it was changed while it was copied');
    } catch (error) {
      rmSync(partial, { force: true });
      closeSync(descriptor);
      throw error;
    }
  }

  /** Throws out what was not used for longest, until there is room. @returns why there is none; then all stays */
  #makeRoom(bytes: number): string | undefined {
    const lack = (missing: number) =>
      `no room in ${this.folder} for ${bytes} bytes: ${missing} bytes are missing that are in use [most=${this.maxBytes}]`;
    if (bytes > this.maxBytes)
      return `${bytes} bytes are more than ${this.folder} may keep [most=${this.maxBytes}]`;
    const entries = this.#entries();
    const used = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    const unwritten = entries.reduce((sum, entry) => sum + entry.bytes - entry.writtenBytes, 0);
    const { bavail, bsize } = statfsSync(this.folder);
    const free = Math.min(bavail * bsize, freemem() - SPARE_BYTES) - unwritten;
    let missing = bytes - Math.min(free, this.maxBytes - used);
    const oldestFirst = entries
      .filter(({ name }) => name.endsWith(ENTRY))
      .sort((a, b) => a.usedAt - b.usedAt);
    const evicted: { path: string; descriptor: number }[] = [];
    for (const entry of oldestFirst) {
      if (missing <= 0) break;
      const path = join(this.folder, entry.name);
      const descriptor = openSync(path, 'r');
      if (tryLock(descriptor)) {
        evicted.push({ path, descriptor });
        missing -= entry.bytes;
      } else {
        closeSync(descriptor);
      }
    }
    for (const { path, descriptor } of evicted) {
      if (missing <= 0) rmSync(path);
      closeSync(descriptor);
    }
    return missing <= 0 ? undefined : lack(missing);
  }

  /** What is left of processes that died while they filled. */
  #removeAbandoned(): void {
    for (const { name } of this.#entries()) {
      if (!name.endsWith(PARTIAL)) continue;
      const path = join(this.folder, name);
      const descriptor = openSync(path, 'r');
      if (tryLock(descriptor)) rmSync(path);
      closeSync(descriptor);
    }
  }

  #entries(): { name: string; bytes: number; writtenBytes: number; usedAt: number }[] {
    return readdirSync(this.folder)
      .filter((name) => name.endsWith(ENTRY) || name.endsWith(PARTIAL))
      .flatMap((name) => {
        const facts = statSync(join(this.folder, name), { throwIfNoEntry: false });
        if (!facts) return [];
        return [{ name, bytes: facts.size, writtenBytes: facts.blocks * 512, usedAt: facts.mtimeMs }];
      });
  }

  /** Does what no other process of this host may do at the same time. */
  async #exclusively<T>(work: () => T, signal?: AbortSignal): Promise<T> {
    const descriptor = openSync(join(this.folder, LOCK_FILE), 'a', 0o600);
    try {
      while (!tryLock(descriptor)) await pause(LOCK_WAIT_MS, signal);
      return work();
    } finally {
      closeSync(descriptor);
    }
  }
}

/** Whether a file is on a file system in memory. @throws what the file system says */
export function liesInMemory(file: string): boolean {
  return statfsSync(file).type === TMPFS;
}

function defaultFolder(): string {
  const parent = join('/dev/shm', `temporal-diffusion-${userId()}`);
  makePrivateFolder(parent);
  return join(parent, 'weights');
}

function itself(path: string, reason: string): CachedFile {
  return { path, reason, close: () => {} };
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(milliseconds, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
}

/** The file's time of change is the time of its last use: the time of its last access moves with each read, or never. */
function markUsed(descriptor: number): void {
  const now = new Date();
  futimesSync(descriptor, now, now);
}

function keyOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return createHash('sha256').update([dev, ino, size, mtimeNs, ctimeNs].join(':')).digest('hex').slice(0, 32);
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** @returns why the copy can't be kept; undefined where it is whole */
async function copyAll(
  source: FileHandle,
  target: string,
  bytes: number,
  file: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const output = await open(target, 'r+');
  let next = 0;
  let lack: string | undefined;
  const copyParts = async () => {
    const part = Buffer.allocUnsafeSlow(Math.min(COPY_BYTES, bytes));
    while (next < bytes && lack === undefined) {
      signal?.throwIfAborted();
      const from = next;
      const end = Math.min(from + COPY_BYTES, bytes);
      next = end;
      for (let at = from; at < end; ) {
        const { bytesRead } = await source.read(part, 0, end - at, at).catch((error: unknown) => {
          throw fileError(error, 'read', file);
        });
        if (bytesRead === 0) {
          lack = 'it became shorter while it was copied';
          return;
        }
        try {
          for (let written = 0; written < bytesRead; ) {
            written += (await output.write(part, written, bytesRead - written, at + written)).bytesWritten;
          }
        } catch (error) {
          lack = `no room for it in memory: ${errorCode(error) ?? error}`;
          return;
        }
        at += bytesRead;
      }
    }
  };
  try {
    const copies = await Promise.allSettled(Array.from({ length: COPIES_AT_A_TIME }, copyParts));
    for (const copy of copies) if (copy.status === 'rejected') throw copy.reason;
  } finally {
    await output.close();
  }
  return lack;
}

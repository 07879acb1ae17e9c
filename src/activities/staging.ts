import '../async-dispose.js';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { ClaimLost, StorageUnavailable } from '../contract/errors.js';
import type { PixelClaim } from '../contract/job.js';
import { writeAtomically } from '../storage/atomic-write.js';
import { errorCode } from '../storage/file-error.js';
import { processFolderName, sweepProcessFolders } from '../storage/process-folder.js';

/** Raw pixels that wait on this host until `publish` has stored them. They die with the process. */
export interface Staging extends AsyncDisposable {
  /** Keeps these pixels under a claim's id. Replaces what that id had: the same image, drawn again. */
  put(id: string, pixels: Uint8Array): Promise<void>;
  /** @throws ClaimLost where the pixels are not there any more, or are not those of the claim */
  get(claim: PixelClaim): Promise<Buffer>;
  /** Forgets a claim; no matter if it is unknown. */
  discard(id: string): Promise<void>;
  /** What is staged at the moment. */
  usage(): { readonly claims: number; readonly bytes: number };
  /** Resolves as soon as nothing is staged. */
  drained(): Promise<void>;
  /** Removes everything. Idempotent. */
  close(): Promise<void>;
}

export interface StagingOptions {
  /** Folder on a local disk that the workers of this host share; each process makes its own inside. */
  readonly folder: string;
  readonly log: Logger;
  /** After how many milliseconds a claim that nobody fetched is forgotten. Default: 1 hour, longer than `publish` is retried. */
  readonly maxAgeMs?: number;
}

/** Opens this process's staging folder and removes those of dead ones. */
export async function openStaging({
  folder,
  log,
  maxAgeMs = 60 * 60 * 1000,
}: StagingOptions): Promise<Staging> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // A folder whose owner lives after all is made again by its next `put`.
  await sweepProcessFolders(folder, '', (path) =>
    log.info({ path }, 'removing the staged pixels of a dead process'),
  );
  // A process may open several: the number tells them apart.
  const own = join(folder, processFolderName('', String(opened++)));

  const staged = new Map<string, { readonly at: number; readonly bytes: number }>();
  let waiting: (() => void)[] = [];
  let closed = false;

  const pathOf = (id: string): string => join(own, `${id}.rgb`);

  function forget(id: string): void {
    staged.delete(id);
    if (staged.size > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  }

  async function discard(id: string): Promise<void> {
    await rm(pathOf(id), { force: true });
    forget(id);
  }

  async function forgetOld(): Promise<void> {
    for (const [id, { at }] of staged) {
      if (Date.now() - at <= maxAgeMs) continue;
      log.warn({ claim: id }, 'staged pixels were never fetched: forgotten');
      await discard(id);
    }
  }

  async function close(): Promise<void> {
    closed = true;
    await rm(own, { recursive: true, force: true });
    for (const id of [...staged.keys()]) forget(id);
  }

  return {
    async put(id, pixels) {
      if (closed) throw new Error('expected staging to be open, but it was closed');
      try {
        await forgetOld();
        await mkdir(own, { recursive: true, mode: 0o700 });
        staged.set(id, { at: Date.now(), bytes: pixels.length });
        // Not synced: after a power cut no process is there that could be asked for it.
        await writeAtomically(pathOf(id), pixels, { mode: 0o600, durable: false });
      } catch (error) {
        forget(id);
        // Retried whatever the reason is: the next attempt may run on a host with space.
        throw new StorageUnavailable(
          `can't stage ${pixels.length} bytes of pixels [path=${own}, code=${errorCode(error)}]`,
          {
            cause: error,
          },
        );
      }
    },

    async get({ id, width, height, sha256 }) {
      let pixels: Buffer;
      try {
        pixels = await readFile(pathOf(id));
      } catch (error) {
        throw new ClaimLost(`the pixels of claim ${id} are not on this host any more`, { cause: error });
      }
      const expected = width * height * 3;
      if (pixels.length !== expected) {
        throw new ClaimLost(`expected ${expected} bytes of pixels for claim ${id}, found ${pixels.length}`);
      }
      if (createHash('sha256').update(pixels).digest('hex') !== sha256) {
        throw new ClaimLost(`the pixels of claim ${id} are damaged [sha256=${sha256}]`);
      }
      return pixels;
    },

    discard,

    usage: () => ({
      claims: staged.size,
      bytes: [...staged.values()].reduce((sum, { bytes }) => sum + bytes, 0),
    }),

    drained: () => (staged.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),

    close,
    [Symbol.asyncDispose]: close,
  };
}

let opened = 0;

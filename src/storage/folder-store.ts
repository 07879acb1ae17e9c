import { link, open, readdir, readFile, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { syncFolder, TEMPORARY_PREFIX, temporaryBeside, writeAtomically } from './atomic-write.js';
import type { BlobStore } from './blob-store.js';
import { errorCode, fileError } from './file-error.js';
import { makeFolder } from './make-folder.js';

/** Unfinished files that are older than this belong to a process that died: no write takes as long. */
const ABANDONED_AFTER_MS = 60 * 60 * 1000;

/** What file systems answer that have no hard links, or none for this file. */
const NO_HARD_LINKS = ['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV', 'EINVAL'];

/** A folder as a store: keys are paths below it, a second name is a hard link. */
export function createFolderStore(folder: string): BlobStore {
  const root = resolve(folder);

  function pathOf(key: string): string {
    const path = resolve(root, key);
    if (!path.startsWith(root.endsWith(sep) ? root : root + sep)) {
      throw new TypeError(`Expected a key or an address below ${root} but received ${key}`);
    }
    return path;
  }

  function pathOfAddress(address: string): string {
    return pathOf(address.startsWith('file:') ? fileURLToPath(address) : address);
  }

  /** The bytes under this path, or undefined where there is no such file. */
  async function readIfThere(path: string): Promise<Buffer | undefined> {
    try {
      return await readFile(path);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async function holds(path: string, bytes: Uint8Array): Promise<boolean> {
    return (await readIfThere(path))?.equals(bytes) ?? false;
  }

  /** Puts a link to `from` at `to`, also where `to` exists, with no moment at which there is none. */
  async function linkOver(from: string, to: string): Promise<void> {
    const temporary = temporaryBeside(to);
    await link(from, temporary);
    try {
      await rename(temporary, to);
    } finally {
      // A rename between two links to one file does nothing, successfully, and leaves both.
      await rm(temporary, { force: true });
    }
    await syncFolder(dirname(to));
  }

  async function attempt<T>(action: string, path: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw fileError(error, action, path);
    }
  }

  return {
    url: pathToFileURL(root).href,

    put(key, bytes) {
      const path = pathOf(key);
      return attempt('write', path, async () => {
        await makeFolder(dirname(path));
        if (!(await holds(path, bytes))) await writeAtomically(path, bytes);
        return pathToFileURL(path).href;
      });
    },

    alias(key, name) {
      const from = pathOf(key);
      const to = pathOf(name);
      return attempt('write', to, async () => {
        const bytes = await readFile(from);
        await makeFolder(dirname(to));
        if (!(await holds(to, bytes))) {
          try {
            await linkOver(from, to);
          } catch (error) {
            if (!NO_HARD_LINKS.includes(errorCode(error) ?? '')) throw error;
            await writeAtomically(to, bytes);
          }
        }
        return pathToFileURL(to).href;
      });
    },

    get(address) {
      const path = pathOfAddress(address);
      return attempt('read', path, () => readFile(path));
    },

    getPart(address, start, length) {
      const path = pathOfAddress(address);
      return attempt('read', path, async () => {
        const file = await open(path);
        try {
          const { size, mtimeMs, ino } = await file.stat();
          const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - start)));
          const { bytesRead } = await file.read(bytes, 0, bytes.length, start);
          return { bytes: bytes.subarray(0, bytesRead), size, version: `${ino}-${size}-${mtimeMs}` };
        } finally {
          await file.close();
        }
      });
    },

    list(key) {
      const path = pathOf(key);
      return attempt('list', path, async () => {
        try {
          const names = await readdir(path);
          return names
            .filter((name) => !name.startsWith(TEMPORARY_PREFIX))
            .sort()
            .map((name) => `${key}/${name}`);
        } catch (error) {
          if (errorCode(error) === 'ENOENT') return [];
          throw error;
        }
      });
    },

    async downloadUrl(address) {
      return pathToFileURL(pathOfAddress(address)).href;
    },

    check(bytes = 0) {
      const probe = join(root, `${TEMPORARY_PREFIX}probe`);
      return attempt('write to', root, async () => {
        await makeFolder(root);
        await writeAtomically(probe, Buffer.from('x'));
        await rm(probe, { force: true });
        await sweep(root);
        await expectRoom(root, bytes);
      });
    },
  };
}

/** @throws what the system says of a write for which there is no room */
async function expectRoom(folder: string, bytes: number): Promise<void> {
  const { blocks, bavail, bsize } = await statfs(folder);
  // Some network file systems tell nothing of their size.
  if (blocks === 0 || bavail * bsize >= bytes) return;
  const message = `expected ${bytes} bytes of free space, found ${bavail * bsize}`;
  throw Object.assign(new Error(message), { code: 'ENOSPC' });
}

/** Removes what processes left behind that were killed in mid-write. */
async function sweep(root: string): Promise<void> {
  for (const entry of await readdir(root, { withFileTypes: true })) {
    const path = join(root, entry.name);
    if (entry.isDirectory() && entry.name === 'blobs') await sweep(path);
    if (!entry.isFile() || !entry.name.startsWith(TEMPORARY_PREFIX)) continue;
    const { mtimeMs } = await stat(path);
    if (Date.now() - mtimeMs > ABANDONED_AFTER_MS) await rm(path, { force: true });
  }
}

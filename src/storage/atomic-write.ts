import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errorCode } from './file-error.js';

/** How the names of files that are not finished begin. Nothing that is finished is called so. */
export const TEMPORARY_PREFIX = '.tmp-';

export interface AtomicWriteOptions {
  /** Permissions of the file. Default: 0o644, less the process's umask. */
  readonly mode?: number;
  /** Whether the file must survive a power cut. Default: true; false for what dies with the process anyway. */
  readonly durable?: boolean;
}

/** A name beside `path` for a file that becomes it. In the same folder, since a rename is atomic in one file system only. */
export function temporaryBeside(path: string): string {
  return join(dirname(path), `${TEMPORARY_PREFIX}${randomUUID()}`);
}

/** Writes a whole file or none. Where it fails, the temporary file is gone again. @throws what the file system throws */
export async function writeAtomically(
  path: string,
  bytes: Uint8Array,
  { mode = 0o644, durable = true }: AtomicWriteOptions = {},
): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      // Each part at its place: on Node 20.3 (io_uring) what follows a part that the disk had just room for is written
      // over the file's beginning, and `writeFile` calls that a success.
      for (let at = 0; at < bytes.length; ) {
        at += (await file.write(bytes, at, bytes.length - at, at)).bytesWritten;
      }
      if (durable) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (durable) await syncFolder(dirname(path));
}

/** Makes a rename or a link in this folder survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } catch (error) {
    // Some network file systems can't sync folders and say so; their renames are the server's own business.
    if (!['EINVAL', 'ENOTSUP'].includes(errorCode(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}

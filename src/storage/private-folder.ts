import { constants, lstatSync, mkdirSync } from 'node:fs';
import { StorageRefused } from '../contract/errors.js';
import { errorCode, fileError } from './file-error.js';

/** Of the user that this process runs as; 0 where the system has no users. */
export function userId(): number {
  return process.getuid?.() ?? 0;
}

/**
 * Makes a folder that nobody but this user may enter, or takes one that is there.
 * @throws StorageRefused where it is another user's or open to others, or can't be made; StorageUnavailable
 */
export function makePrivateFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw fileError(error, 'make', folder);
  }
  const { uid, mode } = lstatSync(folder);
  if ((mode & constants.S_IFMT) !== constants.S_IFDIR || uid !== userId() || (mode & 0o077) !== 0) {
    throw new StorageRefused(
      `${folder}: expected a folder of user ${userId()} that nobody else may enter, got mode ${(mode & 0o7777).toString(8)} of user ${uid}; remove it, or \`chmod 700\` it`,
    );
  }
}

import { statfs } from 'node:fs/promises';

/** Room for the raw pixels of ten of the largest pictures that the contract allows. */
export const MIN_FREE_BYTES = 512 * 2 ** 20;

/**
 * Why nothing more should be staged in this folder; undefined where there is room.
 * @param minFreeBytes what must be left for everybody else on that disk
 */
export async function lackOfSpace(folder: string, minFreeBytes: number): Promise<string | undefined> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= minFreeBytes) return undefined;
  const mebibytes = (bytes: number) => `${Math.floor(bytes / 2 ** 20)} MiB`;
  return `the disk of ${folder} is nearly full: ${mebibytes(free)} free, ${mebibytes(minFreeBytes)} needed`;
}

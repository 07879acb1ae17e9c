import { stat } from 'node:fs/promises';

/** What changes when a file's content does: its size, inode and modification time. @throws where there is no such file */
export async function fileStamp(file: string): Promise<{ readonly stamp: string; readonly size: bigint }> {
  const { size, mtimeNs, ino } = await stat(file, { bigint: true });
  return { stamp: `${size}:${ino}:${mtimeNs}`, size };
}

/** The stamps of several files together, in their order. */
export async function fileStamps(files: Iterable<string>): Promise<string> {
  const stamps = [...files].map(async (file) => `${file}:${(await fileStamp(file)).stamp}`);
  return (await Promise.all(stamps)).join('\n');
}

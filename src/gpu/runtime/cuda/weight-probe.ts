import { randomInt } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { Transfers } from './transfers.js';
import type { WeightArena } from './weight-arena.js';
import type { CopyRun } from './weight-layout.js';

/** So many places of a component are compared, of so many bytes each. */
const PROBES = 12;
const PROBE_BYTES = 4096;

/**
 * Compares some of an arena with the files that it is streamed from, at other places each time.
 * @returns where it is something else; undefined where nothing was found
 * @throws what the system says of a file that can't be read
 */
export async function differenceIn(arena: WeightArena, transfers: Transfers): Promise<string | undefined> {
  const files = new Map<string, FileHandle>();
  try {
    for (const { file, fileOffset, arenaOffset, length } of probesOf(arena.plan)) {
      const handle = files.get(file) ?? (await open(file, 'r'));
      files.set(file, handle);
      const expected = Buffer.alloc(length);
      await handle.read(expected, 0, length, fileOffset);
      const there = await transfers.toHost(arena.address + BigInt(arenaOffset), length);
      if (Buffer.compare(expected, there) !== 0)
        return `[file=${file}, offset=${fileOffset}, bytes=${length}]`;
    }
    return undefined;
  } finally {
    for (const handle of files.values()) await handle.close();
  }
}

/** One place somewhere in each of as many parts of equal size. */
function probesOf(plan: readonly CopyRun[]): CopyRun[] {
  const total = plan.reduce((sum, { length }) => sum + length, 0);
  const part = total / PROBES;
  return Array.from({ length: total === 0 ? 0 : PROBES }, (_, index) => {
    let at = Math.floor(index * part) + randomInt(Math.max(1, Math.floor(part)));
    const run = plan.find(({ length }) => {
      if (at < length) return true;
      at -= length;
      return false;
    }) as CopyRun;
    const offset = Math.max(0, Math.min(at, run.length - PROBE_BYTES));
    return {
      file: run.file,
      fileOffset: run.fileOffset + offset,
      arenaOffset: run.arenaOffset + offset,
      length: Math.min(PROBE_BYTES, run.length),
    };
  });
}

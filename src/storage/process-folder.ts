import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { processTag } from './process-tag.js';

/*
 * Folders that are of use to one life of one process only. Their names say whose they are, so that whoever comes later
 * can remove those of processes that were killed and could not.
 */

/** Folders of processes that can't be asked whether they live (other containers) go after a day without any change. */
const FOREIGN_MAX_AGE_MS = 24 * 60 * 60 * 1000;

/**
 * A name for a folder of this process.
 * @param prefix  what all folders for this purpose begin with; may be empty
 * @param purpose what tells this process's folders apart: letters and digits
 */
export function processFolderName(prefix: string, purpose: string): string {
  const self = processTag(process.pid);
  if (self === undefined) throw new Error(`expected process ${process.pid} to exist, since it runs this`);
  return `${prefix}${self.space}-${self.pid}-${self.started}-${purpose}`;
}

/**
 * Removes the folders of dead processes.
 * @param onRemove told of each before it is removed
 */
export async function sweepProcessFolders(
  parent: string,
  prefix: string,
  onRemove: (path: string) => void = () => {},
): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix)) continue;
    const [, space, pid, started] =
      /^([0-9a-z]+)-(\d+)-(\d+)-[0-9A-Za-z]+$/.exec(name.slice(prefix.length)) ?? [];
    if (space === undefined || pid === undefined || started === undefined) continue;
    const path = join(parent, name);
    if (!(await isDead(path, space, Number(pid), started))) continue;
    onRemove(path);
    // Another process may be sweeping it at the same time: what one of them leaves, the next start takes.
    await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

async function isDead(path: string, space: string, pid: number, started: string): Promise<boolean> {
  if (space === processTag(process.pid)?.space) return processTag(pid)?.started !== started;
  const changed = await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    // Another process has just swept it.
    () => Date.now(),
  );
  return Date.now() - changed > FOREIGN_MAX_AGE_MS;
}

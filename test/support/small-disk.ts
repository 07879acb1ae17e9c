import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

/** Why there can be no small disk here, or false: only root may mount one. */
export const NO_SMALL_DISK = canMount() ? false : 'needs the right to mount a file system';

/**
 * A file system of its own in memory, gone after the test file.
 * @param options of `mount -t tmpfs`, such as `size=64k` or `ro`
 */
export function smallDisk(options: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tdiff-disk-'));
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`can't mount a tmpfs: ${stderr}`);
  after(() => {
    spawnSync('umount', ['-l', folder]);
    rmdirSync(folder);
  });
  return folder;
}

function canMount(): boolean {
  if (process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), 'tdiff-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]).status === 0;
  if (mounted) spawnSync('umount', ['-l', folder]);
  rmdirSync(folder);
  return mounted;
}

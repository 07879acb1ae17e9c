import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';

/** Names one life of one process, so that nobody takes a later process with the same number for it. */
export interface ProcessTag {
  readonly pid: number;
  /** When it started, in ticks since boot; 0 where the system doesn't say. */
  readonly started: string;
  /** Which numbering of processes `pid` belongs to: this boot, this container. */
  readonly space: string;
}

/** @returns the tag of the process that has this number now, or undefined where none has */
export function processTag(pid: number): ProcessTag | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it exists and is somebody else's.
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return undefined;
  }
  return { pid, started: startTime(pid), space: pidSpace() };
}

function startTime(pid: number): string {
  try {
    // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0';
  } catch {
    return '0';
  }
}

let space: string | undefined;

function pidSpace(): string {
  space ??= readPidSpace();
  return space;
}

function readPidSpace(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').replaceAll('-', '').trim();
    const namespace = /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
    // Short: it becomes a part of a socket's path.
    return createHash('sha256').update(`${boot} ${namespace}`).digest('hex').slice(0, 10);
  } catch {
    return 'host';
  }
}

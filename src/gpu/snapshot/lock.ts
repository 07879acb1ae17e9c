import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { makeFolder } from '../../storage/make-folder.js';

/** `flock`'s exit code when somebody else has the lock. */
const LOCKED = 75;

export interface LockOptions {
  /** Whether to wait for the lock, or for how many seconds at most. Default: false. */
  readonly wait?: boolean | number;
  readonly signal?: AbortSignal;
}

/**
 * Does `work` while no other process of this host has the lock, however either of them ends: the kernel's lock is
 * held by a child that lives no longer than we do.
 * @returns undefined, with no work done, where another process has it, and keeps it
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  { wait = false, signal }: LockOptions = {},
): Promise<{ readonly value: T } | undefined> {
  await makeFolder(dirname(file));
  const options = [
    '--exclusive',
    '--no-fork',
    '--conflict-exit-code',
    String(LOCKED),
    ...(wait === true ? [] : wait === false ? ['--nonblock'] : ['--timeout', String(wait)]),
  ];
  // It ends with its standard input: with us.
  const child = spawn('flock', [...options, file, 'cat'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(signal && { signal, killSignal: 'SIGKILL' }),
  });
  const closed = once(child, 'close') as Promise<[number | null]>;
  closed.catch(() => {});
  child.stdin.on('error', () => {});
  child.stdin.write('\n');
  const isOurs = await Promise.race([once(child.stdout, 'data').then(() => true), closed.then(() => false)]);
  if (!isOurs) {
    const [code] = await closed;
    signal?.throwIfAborted();
    if (code === LOCKED) return undefined;
    throw new Error(`can't lock ${file} [exit=${code}]`);
  }
  try {
    return { value: await work() };
  } finally {
    child.stdin.end();
    await closed.catch(() => {});
  }
}

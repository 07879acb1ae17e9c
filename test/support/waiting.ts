import { setTimeout } from 'node:timers/promises';

/** Generous: what takes longer than this will never come. */
const DEADLINE_MS = 120_000;

/** Waits until a state holds. @throws where it never does */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  deadlineMs: number = DEADLINE_MS,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${deadlineMs} ms in vain until ${what}`);
    await setTimeout(20);
  }
}

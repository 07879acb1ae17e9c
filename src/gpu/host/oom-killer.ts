import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * How many processes of this control group the kernel has killed for want of memory so far. An engine that dies by
 * SIGKILL while this grows was one of them.
 * @returns 0 where the system does not tell
 */
export async function oomKills(): Promise<number> {
  try {
    const group = /^0::(.*)$/m.exec(await readFile('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
    const events = await readFile(join('/sys/fs/cgroup', group, 'memory.events'), 'utf8');
    return Number(/^oom_kill (\d+)$/m.exec(events)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

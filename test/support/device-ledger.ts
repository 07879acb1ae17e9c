import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How much each of several processes has of one in-memory device: a file a process, which counts while that lives. */
export class DeviceLedger {
  /** @param folder the same for all of them */
  constructor(private readonly folder: string) {
    mkdirSync(folder, { recursive: true });
  }

  /** What this process has. */
  tell(bytes: number): void {
    writeFileSync(join(this.folder, String(process.pid)), String(bytes));
  }

  othersBytes(): number {
    return readdirSync(this.folder)
      .filter((pid) => Number(pid) !== process.pid && existsSync(`/proc/${pid}`))
      .reduce((sum, pid) => sum + Number(readFileSync(join(this.folder, pid), 'utf8')), 0);
  }
}

import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureKeeper, type KeeperOptions, type KeeperStart } from '../../src/gpu/host/keeper-process.js';
import { KeeperConnection } from '../../src/gpu/keeper/client.js';
import { type KeeperPlace, keeperPlace } from '../../src/gpu/keeper/place.js';
import { isRunning } from './engine.js';
import { processesLike } from './processes.js';
import { until } from './waiting.js';

const PROGRAM = fileURLToPath(new URL('./memory-keeper-process.js', import.meta.url));

/** What a keeper's device is like. */
export interface KeptDevice {
  readonly totalBytes?: number;
  /** Whether it copies nothing until SIGUSR2 comes. */
  readonly isHeld?: boolean;
  /** Where the processes that share the device write down what they have of it. Default: it is the keeper's alone. */
  readonly sharedFolder?: string;
}

/** A keeper's program over such a device. */
export function programOn(device: KeptDevice): NonNullable<KeeperOptions['program']> {
  return { file: PROGRAM, rest: [JSON.stringify(device)] };
}

export interface MemoryKeeperOptions extends KeptDevice {
  readonly checkpoint: string;
  readonly cacheFolder: string;
  readonly keepSeconds?: number;
  readonly verifySeconds?: number;
}

/** A place for keepers over the in-memory device, and whoever is there at the moment. */
export class MemoryKeeper {
  private constructor(readonly place: KeeperPlace) {}

  /** @param folder of this place's own: it has no other keepers */
  static async at(folder: string): Promise<MemoryKeeper> {
    await mkdir(folder, { mode: 0o700, recursive: true });
    return new MemoryKeeper(keeperPlace('cuda:0', { folder, environment: {} }));
  }

  get socket(): string {
    return this.place.socket;
  }

  /** As hosts do it. */
  ensure({
    checkpoint,
    cacheFolder,
    keepSeconds,
    verifySeconds,
    ...device
  }: MemoryKeeperOptions): Promise<KeeperStart> {
    return ensureKeeper({
      place: this.place,
      index: 0,
      prepare: { checkpoint, model: 'tested', cacheFolder },
      keepSeconds,
      verifySeconds,
      logLevel: 'info',
      program: programOn(device),
    });
  }

  connect(): Promise<KeeperConnection> {
    return KeeperConnection.open(this.socket, { deadline: performance.now() + 60_000 });
  }

  /** Asks something of the keeper, as a client that is gone again then. */
  async asked<T>(work: (keeper: KeeperConnection) => Promise<T>): Promise<T> {
    const connection = await this.connect();
    try {
      return await work(connection);
    } finally {
      connection.close();
      await connection.closed;
    }
  }

  /** Waits until the keeper has loaded so many components, and streams none. */
  async loaded(components = 3): Promise<void> {
    await this.asked((keeper) =>
      until('the keeper has loaded its weights', async () => {
        const { holdings } = await keeper.stats();
        return holdings.length === components && holdings.every(({ state }) => state === 'loaded');
      }),
    );
  }

  /** Numbers of the keepers of this place. */
  pids(): number[] {
    return processesLike(new RegExp(`memory-keeper-process.js .*${this.place.folder}`));
  }

  async pid(): Promise<number> {
    return this.asked(async (keeper) => (await keeper.stats()).pid);
  }

  signal(name: NodeJS.Signals): void {
    for (const pid of this.pids()) process.kill(pid, name);
  }

  /** Ends whoever is there, as a crash does. */
  async kill(): Promise<void> {
    const pids = this.pids();
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    for (const pid of pids) await until('the keeper is gone', async () => !(await isRunning(pid)));
  }

  log(): string {
    return readFileSync(this.place.logFile, 'utf8');
  }
}

/** Writes over the memory that a keeper holds: all of it, or so many bytes of each piece. */
export function damage(pid: number, { bytes }: { readonly bytes?: number } = {}): void {
  const folder = join('/proc', String(pid), 'fd');
  for (const name of readdirSync(folder)) {
    if (!linkOf(join(folder, name)).startsWith('/memfd:device')) continue;
    const descriptor = openSync(join(folder, name), 'r+');
    try {
      const { size } = fstatSync(descriptor);
      const length = bytes ?? size;
      writeSync(descriptor, Buffer.alloc(length, 0xa5), 0, length, bytes === undefined ? 0 : 4096);
    } finally {
      closeSync(descriptor);
    }
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    // What lists them has been closed.
    return '';
  }
}

/** How many files that stand for device memory a process holds or maps; 0 where it is gone. */
export function deviceFilesOf(pid: number): number {
  try {
    const maps = readFileSync(join('/proc', String(pid), 'maps'), 'latin1');
    return maps.split('\n').filter((line) => line.includes('/memfd:device')).length;
  } catch {
    return 0;
  }
}

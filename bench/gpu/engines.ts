import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { ensureKeeper, type KeeperOptions } from '../../src/gpu/host/keeper-process.js';
import { createEngineHost, type EngineHost, type EngineHostOptions } from '../../src/gpu/host.js';
import { KeeperConnection } from '../../src/gpu/keeper/client.js';
import { type KeeperPlace, keeperPlace } from '../../src/gpu/keeper/place.js';
import type { KeeperStats } from '../../src/gpu/keeper/protocol.js';
import type { CudaDriver } from '../../src/gpu/runtime/cuda/driver.js';
import type { SnapshotPrograms } from '../../src/gpu/snapshot/starter.js';
import { type Lab, MODEL, openLabDriver } from './lab.js';

const PATIENCE_MS = 120_000;

export interface EnginesOptions {
  readonly lab: Lab;
  /** Of keepers: this run's own, so that none is met that others have left. */
  readonly keeperFolder: string;
  /** Whether memory stands in the place of a GPU. */
  readonly isDry: boolean;
  readonly log: Logger;
}

/** Engines as a worker has them on one device, and the keeper beside them. */
export class Engines {
  readonly place: KeeperPlace;
  readonly #hosts = new Set<EngineHost>();

  constructor(private readonly options: EnginesOptions) {
    this.place = keeperPlace(options.lab.device, { folder: options.keeperFolder });
  }

  /** Of the CPU's kernels, in every engine. */
  get threads(): number {
    return this.options.isDry ? 1 : this.options.lab.threads;
  }

  /** @param isHeld whether a dry run's keeper streams nothing: a real one takes long enough */
  async open(options: Partial<EngineHostOptions> = {}, { isHeld = false } = {}): Promise<EngineHost> {
    const { lab, keeperFolder, isDry, log } = this.options;
    const { checkpoint, device, cacheFolder } = lab;
    const host = createEngineHost({
      ...{ checkpoint, device, cacheFolder, log, keeperFolder },
      threads: this.threads,
      model: MODEL,
      ...(isDry && (await dryHost(isHeld))),
      ...options,
    });
    this.#hosts.add(host);
    return host;
  }

  async with<T>(work: (host: EngineHost) => Promise<T>, ...options: Parameters<Engines['open']>): Promise<T> {
    const host = await this.open(...options);
    try {
      return await work(host);
    } finally {
      await this.close(host);
    }
  }

  async close(host: EngineHost): Promise<void> {
    this.#hosts.delete(host);
    await host.close();
  }

  /** Ends all that is still open, as after a measurement that was given up. */
  async closeAll(): Promise<void> {
    await Promise.all([...this.#hosts].map((host) => this.close(host)));
  }

  /** Asks something of the keeper, as a client that is gone again then. */
  async ask<T>(work: (keeper: KeeperConnection) => Promise<T>): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    const keeper = await KeeperConnection.open(this.place.socket, { deadline });
    try {
      return await work(keeper);
    } finally {
      keeper.close();
      await keeper.closed;
    }
  }

  keeperStats(): Promise<KeeperStats> {
    return this.ask((keeper) => keeper.stats());
  }

  /** Resolves when the keeper has all of a model. */
  async keeperHasAll(components = 3): Promise<void> {
    await this.ask((keeper) =>
      until('the keeper has all weights', async () => {
        const { holdings } = await keeper.stats();
        return holdings.length === components && holdings.every(({ state }) => state === 'loaded');
      }),
    );
  }

  /** As a crash does. */
  async endKeeper(): Promise<void> {
    const found = await KeeperConnection.open(this.place.socket, { deadline: 0 }).catch(() => undefined);
    if (!found) return;
    const { pid } = await found.stats();
    found.close();
    await endProcess(pid);
  }

  async openDriver(): Promise<CudaDriver> {
    if (!this.options.isDry) return openLabDriver(this.options.lab);
    const { MemoryDriver } = await import('../../test/support/memory-driver.js');
    return new MemoryDriver({ totalBytes: 2 ** 30 });
  }
}

const support = (name: string) => fileURLToPath(new URL(`../../test/support/${name}.js`, import.meta.url));

/** How engines and keepers are started over memory in a GPU's place. */
async function dryHost(isHeld: boolean): Promise<Partial<EngineHostOptions>> {
  const { MemoryEngine } = await import('../../test/support/memory-engine.js');
  return {
    exclusive: false,
    spawn: (options) => MemoryEngine.spawnAs(options, {}),
    startKeeper: (options) => ensureKeeper({ ...options, program: dryKeeper(isHeld) }),
    snapshotPrograms: DRY_PROGRAMS,
  };
}

export function dryKeeper(isHeld = false): NonNullable<KeeperOptions['program']> {
  return { file: support('memory-keeper-process'), rest: [JSON.stringify({ isHeld })] };
}

/** The engine and the checkpoint helper of snapshots without a GPU. */
export const DRY_PROGRAMS: Required<SnapshotPrograms> = {
  engine: support('memory-engine-process'),
  helper: [process.execPath, support('checkpoint-process')],
};

export function streamedBytes({ holdings }: KeeperStats): number {
  return holdings.reduce((sum, holding) => sum + holding.streamedBytes, 0);
}

export function expect(isSo: boolean, what: string): void {
  if (!isSo) throw new Error(`expected ${what}`);
}

/** @param found what to say where it never holds */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  found?: () => string,
): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (performance.now() > deadline)
      throw new Error(`waited in vain until ${what}${found ? `: ${found()}` : ''}`);
    await sleep(2);
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Kills a process and waits until it is gone. */
export async function endProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL');
  await until(`process ${pid} is gone`, () => !isAlive(pid));
}

/** Kills a host's engine, and waits until the host has seen it: before, it would be asked to draw. */
export async function endEngine(host: EngineHost): Promise<void> {
  const { pid } = await host.ready();
  process.kill(pid, 'SIGKILL');
  await until('the host has noticed', () => host.state.name !== 'idle');
}

/** Another process that has almost all of a device's memory, until it is closed. @param spareMegabytes are left */
export async function fillDevice(
  index: number,
  spareMegabytes: number,
): Promise<AsyncDisposable & { readonly told: string }> {
  const child: ChildProcess = spawn(
    process.execPath,
    [fileURLToPath(new URL('ballast.js', import.meta.url)), String(index), String(spareMegabytes)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'close');
  if (!child.stdout) throw new Error('expected its output');
  const [told] = (await Promise.race([
    once(createInterface(child.stdout), 'line'),
    ended.then(() => {
      throw new Error('the device could not be filled');
    }),
  ])) as [string];
  return {
    told,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { pino } from 'pino';
import { cacheFolder } from '../../src/cli/cache-folder.js';
import { installCriu } from '../../src/cli/install-criu.js';
import type { EngineHost, EngineHostOptions } from '../../src/gpu/host.js';
import { type Criu, findCriu } from '../../src/gpu/snapshot/criu.js';
import type { EngineDescription } from '../../src/gpu/snapshot/identity.js';
import { requirements } from '../../src/gpu/snapshot/requirements.js';
import { SnapshotStarter } from '../../src/gpu/snapshot/starter.js';
import { openSnapshotStore, type SnapshotStore } from '../../src/gpu/snapshot/store.js';
import { emojiHost } from './engine.js';
import { EMOJI } from './references.js';

export const silent = pino({ level: 'silent' });

/** Why nothing can be captured and restored here, or false. */
export const NO_CRIU: string | false = await whyNot();
/** The CRIU that tests use; only where `NO_CRIU` is false. */
export const criu: Criu = (await findCriu(cacheFolder())) ?? { program: 'criu', version: '0' };

async function whyNot(): Promise<string | false> {
  const notify = (message: string) => console.error(message);
  // What is missing then is told below.
  await installCriu({ cacheFolder: cacheFolder(), notify }).catch(notify);
  const missing = (await requirements(cacheFolder())).find(({ isMet }) => !isMet);
  return missing ? `snapshots need ${missing.name}: ${missing.found}` : false;
}

/** A test that needs CRIU. One by one, so that each that can't run here is counted, with the reason. */
export function snapshotTest(name: string, work: () => Promise<void> | void): void {
  test(name, { skip: NO_CRIU }, work);
}

/** Caches of one host, and the snapshots in them. */
export interface SnapshotPlace {
  readonly cacheFolder: string;
  readonly store: SnapshotStore;
  /** Where its snapshots are. */
  readonly folder: string;
  /** What its engines are. */
  readonly engine: EngineDescription;
  starter(options?: Partial<ConstructorParameters<typeof SnapshotStarter>[0]>): SnapshotStarter;
  host(options?: Partial<EngineHostOptions>): EngineHost;
}

export function snapshotPlace(cache: string, checkpoint = EMOJI): SnapshotPlace {
  const store = openSnapshotStore({ cacheFolder: cache, log: silent });
  const model = 'emoji';
  const engine = { checkpoint, model, device: 'cpu', threads: 2, cacheFolder: cache } as const;
  return {
    cacheFolder: cache,
    store,
    folder: join(cache, 'snapshots'),
    engine,
    starter: (options) =>
      new SnapshotStarter({ mode: 'snapshot', engine, store, criu, log: silent, ...options }),
    host: (options) =>
      emojiHost({
        checkpoint,
        cacheFolder: cache,
        threads: 2,
        start: 'snapshot',
        snapshotAfterIdleMs: 0,
        criu,
        ...options,
      }),
  };
}

/** The same snapshots elsewhere, to be damaged there. */
export async function copyOfPlace(
  place: SnapshotPlace,
  cache: string,
  checkpoint = EMOJI,
): Promise<SnapshotPlace> {
  await mkdir(cache);
  await cp(place.cacheFolder, cache, { recursive: true, preserveTimestamps: true });
  return snapshotPlace(cache, checkpoint);
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, statSync } from 'node:fs';
import type { KeeperArgumentsText } from '../keeper/arguments.js';
import { KeeperConnection, KeeperOfAnotherVersion } from '../keeper/client.js';
import type { KeeperPlace } from '../keeper/place.js';
import type { PreparedCheckpoint } from '../keeper/protocol.js';
import { programFile } from '../programs/places.js';
import type { WeightOptions } from '../runtime/weight-options.js';
import { gpuEnvironment, ownEnvironment } from './engine-process.js';

const KEEPER_MAIN = programFile('keeper');
/** What a keeper has said before it is forgotten when the next one starts. */
const MOST_LOG_BYTES = 2 ** 20;
/** How long nobody has needed a keeper before it ends: longer than a deploy takes, and than engines wait between starts. */
export const KEEP_SECONDS = 600;

export interface KeeperOptions {
  readonly place: KeeperPlace;
  /** The GPU's number. */
  readonly index: number;
  /** What it is to stream at once. */
  readonly prepare: PreparedCheckpoint;
  readonly weights?: WeightOptions | undefined;
  /** Default: 600; 0: until it is stopped. */
  readonly keepSeconds?: number | undefined;
  /** How often it compares all that it holds with the files. Default: once an hour. */
  readonly verifySeconds?: number | undefined;
  readonly logLevel: string;
  /** The keeper's program and what follows its first argument. Default: this package's. */
  readonly program?: { readonly file: string; readonly rest: readonly string[] };
}

/** What became of it: a keeper was there, or one was started, perhaps in the place of one of another version. */
export type KeeperStart = 'found' | 'started' | 'replaced';

/**
 * Sees to it that a device has a keeper which streams the checkpoint, or has it. Resolves as soon as that is on its way:
 * engines wait for the keeper's socket themselves. The keeper outlives this process.
 */
export async function ensureKeeper(options: KeeperOptions): Promise<KeeperStart> {
  const { place, prepare } = options;
  try {
    const keeper = await KeeperConnection.open(place.socket, { deadline: 0, retireOthers: true });
    keeper.prepare(prepare);
    keeper.close();
    await keeper.closed;
    return 'found';
  } catch (error) {
    const replaces = error instanceof KeeperOfAnotherVersion;
    await startKeeper(options, replaces);
    return replaces ? 'replaced' : 'started';
  }
}

async function startKeeper(options: KeeperOptions, replaces: boolean): Promise<void> {
  const { place, index, prepare, weights, keepSeconds = KEEP_SECONDS, logLevel, program } = options;
  const { verifySeconds } = options;
  const keeper: KeeperArgumentsText = {
    ...{ index, prepare, keepSeconds, replaces, logLevel },
    socket: place.socket,
    lockFile: place.lockFile,
    ...(weights && { weights }),
    ...(verifySeconds !== undefined && { verifySeconds }),
  };
  const log = openSync(place.logFile, isLong(place.logFile) ? 'w' : 'a', 0o600);
  try {
    const { file, rest } = program ?? { file: KEEPER_MAIN, rest: [] };
    const child: ChildProcess = spawn(process.execPath, [file, JSON.stringify(keeper), ...rest], {
      stdio: ['ignore', log, log],
      // A session of its own: what ends this process's ends it not.
      detached: true,
      env: { ...ownEnvironment(), ...gpuEnvironment(prepare.cacheFolder) },
    });
    await once(child, 'spawn');
    child.unref();
  } finally {
    closeSync(log);
  }
}

function isLong(file: string): boolean {
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > MOST_LOG_BYTES;
}

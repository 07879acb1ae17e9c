import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makePrivateFolder, userId } from '../../storage/private-folder.js';
import type { Device } from '../runtime/session.js';

/** Where the keeper of one device of one user is found. */
export interface KeeperPlace {
  readonly folder: string;
  /** A Unix socket. */
  readonly socket: string;
  /** Locked by the keeper while it may listen there. */
  readonly lockFile: string;
  /** What it writes to its standard error. */
  readonly logFile: string;
}

export interface KeeperPlaceOptions {
  /** A folder of this user's own. Default: `temporal-diffusion-UID` among the temporary files. */
  readonly folder?: string;
  /** What else the number of a GPU depends on. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** Variables that decide which GPU a number means. */
const NUMBERING = ['CUDA_VISIBLE_DEVICES', 'CUDA_DEVICE_ORDER', 'NVIDIA_VISIBLE_DEVICES'];

/**
 * The place of a device's keeper, in folders that nobody else may enter.
 * @throws StorageRefused where such a folder is another user's or open to others; StorageUnavailable
 */
export function keeperPlace(
  device: Device,
  { folder: parent = defaultFolder(), environment = process.env }: KeeperPlaceOptions = {},
): KeeperPlace {
  makePrivateFolder(parent);
  const numbering = NUMBERING.map((name) => environment[name] ?? '');
  const name = createHash('sha256')
    .update(JSON.stringify([device, ...numbering]))
    .digest('hex')
    .slice(0, 12);
  const folder = join(parent, `keeper-${name}`);
  makePrivateFolder(folder);
  return {
    folder,
    socket: join(folder, 'keeper.sock'),
    lockFile: join(folder, 'lock'),
    logFile: join(folder, 'keeper.log'),
  };
}

function defaultFolder(): string {
  return join(tmpdir(), `temporal-diffusion-${userId()}`);
}

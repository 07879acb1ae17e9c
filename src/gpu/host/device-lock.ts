import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DeviceBusy } from '../../contract/errors.js';
import type { Device } from '../runtime/session.js';

/** `flock`'s exit code when somebody else has the lock. */
const LOCKED = 75;

export interface DeviceLockOptions {
  readonly device: Device;
  readonly cacheFolder: string;
  /** Whether no other engine may run on the device. Default: true for a GPU, false for the CPU. */
  readonly exclusive?: boolean | undefined;
}

/** The file that is locked by whoever has a device to itself; undefined where it is shared. */
export function deviceLockFile({
  device,
  cacheFolder,
  exclusive = device !== 'cpu',
}: DeviceLockOptions): string | undefined {
  return exclusive ? join(cacheFolder, 'locks', `${device.replace(':', '-')}.lock`) : undefined;
}

/**
 * A device for the engines of one process. The lock belongs to an open file, which the engines inherit: so it ends with
 * the last of them and of its owner, however they end.
 */
export class DeviceLock implements AsyncDisposable {
  #file: ReturnType<typeof open> | undefined;

  /** @param path a file, the same for all who want the device; it need not exist */
  constructor(private readonly path: string) {}

  /**
   * Takes the lock, unless it is taken by this already.
   * @returns the descriptor that engines are to inherit
   * @throws DeviceBusy where somebody else has it
   */
  async hold(): Promise<number> {
    this.#file ??= this.#take();
    try {
      return (await this.#file).fd;
    } catch (error) {
      this.#file = undefined;
      throw error;
    }
  }

  /** Engines that still live keep it. */
  async close(): Promise<void> {
    const file = await this.#file?.catch(() => undefined);
    this.#file = undefined;
    await file?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #take() {
    await mkdir(dirname(this.path), { recursive: true });
    const file = await open(this.path, 'a');
    try {
      // The lock stays with the open file when the program that took it has ended.
      const child = spawn('flock', ['--nonblock', '--conflict-exit-code', String(LOCKED), '3'], {
        stdio: ['ignore', 'ignore', 'ignore', file.fd],
      });
      const [code] = (await once(child, 'close')) as [number | null];
      if (code === LOCKED) {
        throw new DeviceBusy(
          `another worker's engines already run on this device; end it, or choose another one [lock=${this.path}]`,
        );
      }
      if (code !== 0) throw new Error(`can't lock ${this.path} [exit=${code}]`);
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }
}

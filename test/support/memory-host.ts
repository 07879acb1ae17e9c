import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { createEngineHost, type EngineHost, type EngineHostOptions } from '../../src/gpu/host.js';
import { type DeviceOptions, MemoryEngine } from './memory-engine.js';

/** Bytes of a device that has room for one of the tiny models, and not for two. */
export const ONE_MODEL = 8 * 2 ** 20;

/** An in-memory device that engines of several hosts share. */
export interface MemoryDevice extends DeviceOptions {
  readonly sharedFolder: string;
}

/** @param scratch where its processes write down what they have of it */
export function memoryDevice(scratch: string, totalBytes: number, options: DeviceOptions = {}): MemoryDevice {
  return { totalBytes, sharedFolder: mkdtempSync(join(scratch, 'device-')), ...options };
}

export interface MemoryHost {
  readonly host: EngineHost;
  /** The engines that it has started. */
  readonly engines: readonly MemoryEngine[];
}

/** A host whose engines are processes over an in-memory device. */
export function memoryHost(
  device: MemoryDevice,
  checkpoint: string,
  options: Partial<EngineHostOptions> & Pick<EngineHostOptions, 'cacheFolder'>,
): MemoryHost {
  const engines: MemoryEngine[] = [];
  const host = createEngineHost({
    checkpoint,
    model: 'tested',
    device: 'cuda:0',
    exclusive: false,
    threads: 1,
    log: pino({ level: 'silent' }),
    spawn: async (options) => {
      const engine = await MemoryEngine.spawnAs(options, device);
      engines.push(engine);
      return engine;
    },
    ...options,
  });
  return { host, engines };
}

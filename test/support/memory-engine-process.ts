/*
 * An engine whose device is memory of its own process: everything else is what a GPU's engine is. Arguments: those of
 * an engine, then, if it likes, what the device has and what becomes of it at SIGUSR2 (see `memory-engine.ts`).
 */
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { EngineArguments } from '../../src/gpu/engine/arguments.js';
import { engineKeeper } from '../../src/gpu/engine/engine-keeper.js';
import { runEngine } from '../../src/gpu/engine/run-engine.js';
import { exitNow } from '../../src/gpu/runtime/cuda/exit-now.js';
import { HostCache } from '../../src/gpu/runtime/cuda/host-cache.js';
import { DeviceLedger } from './device-ledger.js';
import { memoryRuntime } from './device-runtime.js';
import { MemoryDriver } from './memory-driver.js';
import type { DeviceOptions } from './memory-engine.js';

const [engine, device] = process.argv.slice(2).map((argument) => JSON.parse(argument));
const { upset, totalBytes, sharedFolder, cacheFolder } = (device ?? {}) as DeviceOptions;
const driver = new MemoryDriver({
  isShared: true,
  ...(sharedFolder !== undefined && { ledger: new DeviceLedger(sharedFolder) }),
  ...(totalBytes !== undefined && { totalBytes }),
  ...(upset === 'lets copies go' && { pace: 'held' }),
});

const NEVER_RETURNING = `
  const koffi = require(${JSON.stringify(createRequire(import.meta.url).resolve('koffi'))});
  const pause = koffi.load('libc.so.6').func('pause', 'int', []);
  process._rawDebug('in a call that never returns');
  pause();
`;

let isHolding = false;
process.on('SIGUSR2', () => {
  if (upset === 'holds copies back, or lets them go') {
    isHolding = !isHolding;
    if (isHolding) driver.holdBack();
    else driver.letGo();
    // Who has sent the signal waits for it.
    process.stderr.write(isHolding ? 'copies are held\n' : 'copies are made\n');
  }
  if (upset === 'falls off') driver.fallOff();
  if (upset === 'lets copies go') driver.letGo();
  if (upset === 'never returns from a call') new Worker(NEVER_RETURNING, { eval: true });
});

const options = EngineArguments.parse(engine);
const keeper = engineKeeper(options);
// The smallest ring: with held copies the first chunk is all that is read.
const cache =
  cacheFolder === undefined ? undefined : HostCache.open({ folder: cacheFolder, maxBytes: 2 ** 30 });
const runtime = memoryRuntime(driver, { threads: 1, bufferBytes: 4096, cache, ...keeper });
await runEngine(options, Promise.resolve(runtime), exitNow, keeper.source);

/*
 * A keeper whose device is files in memory: everything else is what a GPU's keeper is. Arguments: those of a keeper, then
 * what the device is like. At SIGUSR2 copies that it holds are made.
 */
import { FLOAT32 } from '../../src/gpu/graph/graphs.js';
import { KeeperArguments } from '../../src/gpu/keeper/arguments.js';
import { runKeeper } from '../../src/gpu/keeper/run-keeper.js';
import { DeviceLedger } from './device-ledger.js';
import { MemoryDriver } from './memory-driver.js';
import type { KeptDevice } from './memory-keeper.js';

const [keeper, device] = process.argv.slice(2).map((argument) => JSON.parse(argument));
const { totalBytes, isHeld, sharedFolder } = (device ?? {}) as KeptDevice;
const driver = new MemoryDriver({
  ...(sharedFolder !== undefined && { ledger: new DeviceLedger(sharedFolder) }),
  ...(totalBytes !== undefined && { totalBytes }),
  ...(isHeld && { pace: 'held' }),
});
process.on('SIGUSR2', () => driver.letGo());
await runKeeper(KeeperArguments.parse(keeper), async () => ({ driver, compute: FLOAT32 }));

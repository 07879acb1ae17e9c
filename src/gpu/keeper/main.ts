/*
 * The keeper process. A host starts it with one argument (see `arguments.ts`); it outlives that host and its engines.
 */
import { openCudaDriver } from '../runtime/cuda/cuda-driver.js';
import { computeTypes, LEAST_CUDA } from '../runtime/cuda/cuda-runtime.js';
import { KeeperArguments } from './arguments.js';
import { runKeeper } from './run-keeper.js';

const options = KeeperArguments.parse(JSON.parse(process.argv[2] ?? 'null'));
await runKeeper(options, async () => {
  const driver = await openCudaDriver({ device: options.index, leastCuda: LEAST_CUDA });
  return { driver, compute: computeTypes(driver.facts) };
});

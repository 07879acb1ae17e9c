/*
 * The keeper process. A host starts it with one argument (see `arguments.ts`); it outlives that host and its engines.
 */
import { beginCuda, openCudaDriver } from '../runtime/cuda/cuda-driver.js';

// Nothing of the device is taken by that, and it takes as long as the rest of this program to be read.
beginCuda();
const { computeTypes } = await import('../runtime/cuda/cuda-runtime.js');
const { LEAST_CUDA } = await import('../runtime/cuda/cuda-start.js');
const { KeeperArguments } = await import('./arguments.js');
const { runKeeper } = await import('./run-keeper.js');

const options = KeeperArguments.parse(JSON.parse(process.argv[2] ?? 'null'));
await runKeeper(options, async () => {
  const driver = await openCudaDriver({ device: options.index, leastCuda: LEAST_CUDA });
  return { driver, compute: computeTypes(driver.facts) };
});

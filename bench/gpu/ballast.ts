/*
 * Takes all of a GPU's memory but some megabytes, says so in a line, and keeps it until its standard input ends:
 *
 *   node dist/bench/gpu/ballast.js 0 200
 */
import { openCudaDriver } from '../../src/gpu/runtime/cuda/cuda-driver.js';

const [device = 0, spareMegabytes = 200] = process.argv.slice(2).map(Number);
const driver = await openCudaDriver({ device });
const { freeBytes } = driver.memory();
const spare = spareMegabytes * 1e6;
const bytes = Math.floor((freeBytes - spare) / driver.granularity) * driver.granularity;
driver.createPhysical(bytes);
process.stdout.write(`${bytes} bytes taken, ${driver.memory().freeBytes} free\n`);
process.stdin.on('end', () => process.exit(0)).resume();

/*
 * A checkpoint helper for engines whose device is memory of their own (see `memory-engine-process.ts`), which need
 * nobody's help: it says yes to everything, or does what its argument names.
 */
import type { CheckpointDriver } from '../../src/gpu/runtime/cuda/checkpoint.js';
import { CheckpointUnsupported } from '../../src/gpu/runtime/cuda/checkpoint.js';
import { serveCheckpoints } from '../../src/gpu/runtime/cuda/checkpoint-server.js';
import { errorOfCuda } from '../../src/gpu/runtime/cuda/cuda-error.js';
import type { CheckpointProcess } from './checkpoint-process-options.js';

const NO_UUID = 'GPU-00000000-0000-0000-0000-000000000000';
const options = JSON.parse(process.argv[2] ?? '{}') as CheckpointProcess;
const { freeBytes = 2 ** 30, ownBytes = 2 ** 20, name = 'memory of this process', uuid = NO_UUID } = options;
let isCheckpointed = false;

/** As the driver does where it has no room: it doesn't return. */
function obey(call: keyof CheckpointDriver): void {
  if (options.hangsAt === call) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  if (options.failsAt === call) throw errorOfCuda(call, options.code ?? 1, undefined, 'as the test told');
}

const driver: CheckpointDriver = {
  device(index) {
    obey('device');
    const free = isCheckpointed ? freeBytes + ownBytes : freeBytes;
    return { index, name, uuid, driver: options.driver ?? '600.1', totalBytes: 2 ** 31, freeBytes: free };
  },
  state(pid) {
    if (options.knowsOnly !== undefined && pid !== options.knowsOnly) throw errorOfCuda('state', 1);
    return isCheckpointed ? 'checkpointed' : 'running';
  },
  lock: () => obey('lock'),
  checkpoint() {
    obey('checkpoint');
    isCheckpointed = true;
  },
  restore(_pid, moved) {
    if (JSON.stringify(moved) !== JSON.stringify(options.expectsMove)) {
      throw new Error(`expected ${JSON.stringify(options.expectsMove)}, got ${JSON.stringify(moved)}`);
    }
    obey('restore');
  },
  unlock: () => obey('unlock'),
};

await serveCheckpoints(
  () => {
    if (options.isUnsupported) throw new CheckpointUnsupported('driver without checkpoint support');
    return driver;
  },
  process.stdin,
  process.stdout,
);

import { FLOAT32 } from '../../src/gpu/graph/graphs.js';
import { DeviceRuntime } from '../../src/gpu/runtime/cuda/device-runtime.js';
import type { HostCache } from '../../src/gpu/runtime/cuda/host-cache.js';
import { Ort } from '../../src/gpu/runtime/cuda/ort.js';
import type { WeightSource } from '../../src/gpu/runtime/cuda/weight-source.js';
import { onnxruntimeLibrary } from '../../src/gpu/runtime/onnxruntime-library.js';
import type { MemoryDriver } from './memory-driver.js';

export interface MemoryRuntimeOptions {
  /** Default: 2. */
  readonly threads?: number;
  /** Default: 1 MiB. */
  readonly bufferBytes?: number;
  readonly cache?: HostCache | undefined;
  readonly source?: WeightSource | undefined;
  readonly onFallback?: ((reason: unknown) => void) | undefined;
  /** Whether graphs have operators of our own, with kernels for the CPU. Default: false. */
  readonly ownOperators?: boolean;
}

/** The runtime for GPUs over an in-memory device, with ONNX Runtime's CPU kernels. */
export function memoryRuntime(
  driver: MemoryDriver,
  {
    threads = 2,
    bufferBytes = 1 << 20,
    cache,
    source,
    onFallback,
    ownOperators = false,
  }: MemoryRuntimeOptions = {},
): DeviceRuntime {
  return new DeviceRuntime({
    device: 'cuda:0',
    ort: Ort.load(onnxruntimeLibrary()),
    driver,
    provider: { kind: 'cpu' },
    compute: { ...FLOAT32, ownOperators },
    ...(ownOperators && { ownKernels: new URL('./cpu-kernels.js', import.meta.url).href }),
    threads,
    bufferBytes,
    ...(cache && { cache }),
    ...(source && { source }),
    ...(onFallback && { onFallback }),
  });
}

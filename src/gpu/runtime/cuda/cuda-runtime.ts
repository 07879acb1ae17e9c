import type { ComputeTypes } from '../../graph/graphs.js';
import { programUrl } from '../../programs/places.js';
import type { Runtime } from '../session.js';
import type { WeightOptions } from '../weight-options.js';
import type { CudaStart } from './cuda-start.js';
import { DeviceRuntime } from './device-runtime.js';
import type { DeviceFacts } from './driver.js';
import { HostCache } from './host-cache.js';
import type { WeightSource } from './weight-source.js';

export interface CudaRuntimeOptions extends WeightOptions {
  /** The GPU, which may still be coming up. */
  readonly start: CudaStart;
  /** Who may have the weights on the GPU already. Default: nobody. */
  readonly source?: WeightSource;
  /** Told why weights are streamed though there is a source. */
  readonly onFallback?: (reason: unknown) => void;
}

/**
 * ONNX Runtime's CUDA kernels over weights in device memory.
 * @throws DeviceLost where there is no such GPU, or a library is missing; with what to do
 * @throws StorageRefused or StorageUnavailable where a host cache is asked for and its folder can't be used
 */
export async function openCudaRuntime({
  start,
  streamBufferBytes,
  hostCacheBytes,
  source,
  onFallback,
}: CudaRuntimeOptions): Promise<Runtime> {
  const cache = hostCacheBytes === undefined ? undefined : HostCache.open({ maxBytes: hostCacheBytes });
  const [opening, loading] = await Promise.allSettled([start.driver, start.ort]);
  if (opening.status === 'rejected') throw opening.reason;
  if (loading.status === 'rejected') {
    opening.value.close();
    throw loading.reason;
  }
  const driver = opening.value;
  const { provider } = start;
  return new DeviceRuntime({
    device: `cuda:${provider.device}`,
    ort: loading.value,
    driver,
    provider,
    compute: computeTypes(driver.facts),
    ownKernels: programUrl('cuda-kernels').href,
    threads: SHAPE_THREADS,
    ...(streamBufferBytes !== undefined && { bufferBytes: streamBufferBytes }),
    ...(cache && { cache }),
    ...(source && { source }),
    ...(onFallback && { onFallback }),
  });
}

/** All that is left to the CPU is a little arithmetic on shapes; more threads would wait for it at the streams' cost. */
const SHAPE_THREADS = 1;

/** GPUs before Ampere have no bfloat16; half precision is then summed in float32 where it would overflow. */
export function computeTypes({ computeCapability }: DeviceFacts): ComputeTypes {
  const half = computeCapability.major >= 8 ? 'bfloat16' : 'float16';
  return { textEncoder: half, transformer: half, vaeDecoder: 'float32', ownOperators: true };
}

import { inSpan } from '../spans.js';
import type { CudaStart } from './cuda/cuda-start.js';
import type { WeightSource } from './cuda/weight-source.js';
import { gpuIndexOf } from './gpu-index.js';
import type { Device, Runtime } from './session.js';
import type { WeightOptions } from './weight-options.js';

export interface RuntimeOptions {
  readonly device: Device;
  /** Of the CPU's kernels. */
  readonly threads: number;
  readonly cacheFolder: string;
  /** How weights get to a GPU; the CPU's are mapped from their files. */
  readonly weights?: WeightOptions | undefined;
  /** Who may have the weights on the GPU already. Default: nobody. */
  readonly source?: WeightSource | undefined;
  /** Told why weights are streamed though there is a source. */
  readonly onFallback?: (reason: unknown) => void;
  /** What `startDevice` began for the same device. Default: it begins now. */
  readonly start?: CudaStart | undefined;
}

/**
 * Lets a GPU come up while the rest of this program is still being read, which takes as long. Whoever opens the runtime
 * is told what goes wrong.
 * @param told what the device and the cache's folder are taken from, if they are there: it is not checked here
 * @returns undefined for any other device
 */
export async function startDevice(told: unknown): Promise<CudaStart | undefined> {
  const { device, cacheFolder } = (told ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof device !== 'string' || typeof cacheFolder !== 'string') return undefined;
  const index = gpuIndexOf(device);
  if (index === undefined) return undefined;
  const { startCuda } = await import('./cuda/cuda-start.js');
  return startCuda({ index, cacheFolder });
}

/**
 * Opens the runtime for a device. Each loads its own libraries only: an engine on the CPU knows nothing of CUDA.
 * @throws DeviceLost where there is no such GPU; Error where a library is missing, with what to do
 */
export function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  return inSpan('device', () => open(options));
}

async function open({ weights, source, onFallback, ...options }: RuntimeOptions): Promise<Runtime> {
  const start = options.start ?? (await startDevice(options));
  if (!start) {
    const { openCpuRuntime } = await import('./onnxruntime-cpu.js');
    return openCpuRuntime(options.threads);
  }
  const { openCudaRuntime } = await import('./cuda/cuda-runtime.js');
  return openCudaRuntime({
    start,
    ...weights,
    ...(source && { source }),
    ...(onFallback && { onFallback }),
  });
}

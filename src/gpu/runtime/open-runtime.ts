import { inSpan } from '../spans.js';
import type { WeightSource } from './cuda/weight-source.js';
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
}

/**
 * Opens the runtime for a device. Each loads its own libraries only: an engine on the CPU knows nothing of CUDA.
 * @throws DeviceLost where there is no such GPU; Error where a library is missing, with what to do
 */
export function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  return inSpan('device', () => open(options));
}

async function open({
  device,
  threads,
  cacheFolder,
  weights,
  source,
  onFallback,
}: RuntimeOptions): Promise<Runtime> {
  if (device === 'cpu') {
    const { openCpuRuntime } = await import('./onnxruntime-cpu.js');
    return openCpuRuntime(threads);
  }
  const { openCudaRuntime } = await import('./cuda/cuda-runtime.js');
  const index = Number(device.slice('cuda:'.length));
  return openCudaRuntime({
    index,
    cacheFolder,
    ...weights,
    ...(source && { source }),
    ...(onFallback && { onFallback }),
  });
}

import { DeviceLost } from '../../../contract/errors.js';
import type { ComputeTypes } from '../../graph/graphs.js';
import { inSpan } from '../../spans.js';
import type { Runtime } from '../session.js';
import type { WeightOptions } from '../weight-options.js';
import { openCudaDriver } from './cuda-driver.js';
import { DeviceRuntime } from './device-runtime.js';
import type { DeviceFacts } from './driver.js';
import { HostCache } from './host-cache.js';
import { type CudaProvider, Ort } from './ort.js';
import { linkProviders } from './provider-libraries.js';
import type { WeightSource } from './weight-source.js';

export interface CudaRuntimeOptions extends WeightOptions {
  /** The GPU's number. */
  readonly index: number;
  /** Where links to ONNX Runtime's libraries are made. */
  readonly cacheFolder: string;
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
  index,
  cacheFolder,
  streamBufferBytes,
  hostCacheBytes,
  source,
  onFallback,
}: CudaRuntimeOptions): Promise<Runtime> {
  const cache = hostCacheBytes === undefined ? undefined : HostCache.open({ maxBytes: hostCacheBytes });
  const provider = { kind: 'cuda', device: index, options: PROVIDER_OPTIONS } as const;
  // The driver's start and loading the provider's libraries take longest: side by side.
  const [opening, loading] = await Promise.allSettled([
    inSpan('CUDA', () => openCudaDriver({ device: index, leastCuda: LEAST_CUDA })),
    inSpan('provider', () => loadProvider(provider, cacheFolder)),
  ]);
  if (opening.status === 'rejected') throw opening.reason;
  if (loading.status === 'rejected') {
    opening.value.close();
    throw loading.reason;
  }
  const driver = opening.value;
  return new DeviceRuntime({
    device: `cuda:${index}`,
    ort: loading.value,
    driver,
    provider,
    compute: computeTypes(driver.facts),
    ownKernels: new URL('./cuda-kernels.js', import.meta.url).href,
    threads: SHAPE_THREADS,
    ...(streamBufferBytes !== undefined && { bufferBytes: streamBufferBytes }),
    ...(cache && { cache }),
    ...(source && { source }),
    ...(onFallback && { onFallback }),
  });
}

async function loadProvider(provider: CudaProvider, cacheFolder: string): Promise<Ort> {
  const ort = Ort.load(await linkProviders(cacheFolder));
  try {
    await ort.loadProvider(provider);
    return ort;
  } catch (cause) {
    throw new DeviceLost(
      `ONNX Runtime's CUDA provider can't be loaded: ${messageOf(cause)}; put the CUDA 13 and cuDNN 9 libraries and those of onnxruntime-gpu 1.30 on LD_LIBRARY_PATH: \`temporal-diffusion doctor --device cuda:${provider.device}\` names what is missing`,
      { cause },
    );
  }
}

/** All that is left to the CPU is a little arithmetic on shapes; more threads would wait for it at the streams' cost. */
const SHAPE_THREADS = 1;

/** What the CUDA provider of ONNX Runtime 1.30 is built for. */
export const LEAST_CUDA = '13.0';

/** See `OrtCUDAProviderOptionsV2`. */
const PROVIDER_OPTIONS = {
  // Beside the weights there is room for what is asked for, and no more than that.
  arena_extend_strategy: 'kSameAsRequested',
  // Trying every algorithm costs seconds at every new size.
  cudnn_conv_algo_search: 'HEURISTIC',
  // Its largest workspaces take more memory than the picture, for little time.
  cudnn_conv_use_max_workspace: '0',
  use_tf32: '1',
};

/** GPUs before Ampere have no bfloat16; half precision is then summed in float32 where it would overflow. */
export function computeTypes({ computeCapability }: DeviceFacts): ComputeTypes {
  const half = computeCapability.major >= 8 ? 'bfloat16' : 'float16';
  return { textEncoder: half, transformer: half, vaeDecoder: 'float32', ownOperators: true };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { DeviceLost } from '../../../contract/errors.js';
import { inSpan } from '../../spans.js';
import { openCudaDriver } from './cuda-driver.js';
import type { CudaDriver } from './driver.js';
import { type CudaProvider, Ort } from './ort.js';
import { linkProviders } from './provider-libraries.js';

/** What the CUDA provider of ONNX Runtime 1.30 is built for. */
export const LEAST_CUDA = '13.0';

export interface CudaStartOptions {
  /** The GPU's number. */
  readonly index: number;
  /** Where links to ONNX Runtime's libraries are made. */
  readonly cacheFolder: string;
}

/** A GPU that comes up, each part on a thread of its own. Whoever waits for one is told what it failed with. */
export interface CudaStart {
  readonly provider: CudaProvider;
  /** Rejects with DeviceLost where there is no such GPU. */
  readonly driver: Promise<CudaDriver>;
  /** ONNX Runtime with its provider's libraries. Rejects with DeviceLost where one is missing; with what to do. */
  readonly ort: Promise<Ort>;
}

/** Begins what takes longest of a GPU's start, and needs little of this program: the driver, and the provider's libraries. */
export function startCuda({ index, cacheFolder }: CudaStartOptions): CudaStart {
  const provider = { kind: 'cuda', device: index, options: PROVIDER_OPTIONS } as const;
  const driver = inSpan('CUDA', () => openCudaDriver({ device: index, leastCuda: LEAST_CUDA }));
  const ort = inSpan('provider', () => loadProvider(provider, cacheFolder));
  for (const part of [driver, ort]) part.catch(() => {});
  return { provider, driver, ort };
}

async function loadProvider(provider: CudaProvider, cacheFolder: string): Promise<Ort> {
  const library = await linkProviders(cacheFolder);
  try {
    const ort = Ort.load(library);
    await ort.loadProvider(provider);
    return ort;
  } catch (cause) {
    throw new DeviceLost(
      `ONNX Runtime's CUDA provider can't be loaded: ${messageOf(cause)}; put the CUDA 13 and cuDNN 9 libraries and those of onnxruntime-gpu 1.30 on LD_LIBRARY_PATH: \`temporal-diffusion doctor --device cuda:${provider.device}\` names what is missing`,
      { cause },
    );
  }
}

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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

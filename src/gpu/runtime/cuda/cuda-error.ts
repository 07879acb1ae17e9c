import { DeviceLost, OutOfMemory } from '../../../contract/errors.js';

/** What the CUDA driver answered to a call that failed. */
export class CudaError extends Error {
  override readonly name = 'CudaError';

  constructor(
    /** The driver's function, such as `cuMemCreate`. */
    readonly call: string,
    /** The header's number, such as 2. */
    readonly code: number,
    /** The header's name, such as `CUDA_ERROR_OUT_OF_MEMORY`. */
    readonly codeName: string,
    detail?: string,
  ) {
    super(`${call} failed: ${codeName} (${code})${detail === undefined ? '' : `: ${detail}`}`);
  }
}

export const CUDA_SUCCESS = 0;
export const CUDA_ERROR_INVALID_VALUE = 1;
export const CUDA_ERROR_OUT_OF_MEMORY = 2;
export const CUDA_ERROR_NOT_READY = 600;
export const CUDA_ERROR_LAUNCH_FAILED = 719;

/** Names of the header `cuda.h`, for calls that fail before the driver can name them. */
const names: Readonly<Record<number, string>> = {
  1: 'CUDA_ERROR_INVALID_VALUE',
  2: 'CUDA_ERROR_OUT_OF_MEMORY',
  3: 'CUDA_ERROR_NOT_INITIALIZED',
  34: 'CUDA_ERROR_STUB_LIBRARY',
  100: 'CUDA_ERROR_NO_DEVICE',
  101: 'CUDA_ERROR_INVALID_DEVICE',
  600: 'CUDA_ERROR_NOT_READY',
  700: 'CUDA_ERROR_ILLEGAL_ADDRESS',
  719: 'CUDA_ERROR_LAUNCH_FAILED',
  802: 'CUDA_ERROR_SYSTEM_NOT_READY',
  803: 'CUDA_ERROR_SYSTEM_DRIVER_MISMATCH',
  999: 'CUDA_ERROR_UNKNOWN',
};

export function cudaErrorName(code: number): string {
  return names[code] ?? 'CUDA error';
}

const RESTART = 'start a new engine; if it happens again, look at `dmesg | grep -i xid` and reset the GPU';

/** Answers after which the device can't be used by this process any more, with what to do. */
const lost: Readonly<Record<number, string>> = {
  // cuInit of a process whose driver has gone away underneath it.
  3: RESTART,
  4: RESTART,
  34: 'the CUDA found is a stub for building only: take its folder out of LD_LIBRARY_PATH and install the NVIDIA driver',
  46: 'another process has the GPU for itself: set its compute mode back with `nvidia-smi -c 0`',
  100: 'no GPU is visible: check `nvidia-smi`, CUDA_VISIBLE_DEVICES, and that the container is started with its GPUs (`--gpus all`)',
  101: 'there is no GPU of this number: check `nvidia-smi -L` and CUDA_VISIBLE_DEVICES',
  201: RESTART,
  214: 'its memory has an error that could not be corrected: reset the GPU (`nvidia-smi --gpu-reset`), and replace it if that happens again',
  220: 'its NVLink has an error that could not be corrected: reset the GPU (`nvidia-smi --gpu-reset`)',
  700: RESTART,
  702: RESTART,
  709: RESTART,
  710: RESTART,
  714: RESTART,
  715: RESTART,
  716: RESTART,
  717: RESTART,
  718: RESTART,
  719: RESTART,
  802: "the host's fabric manager is not ready: check `systemctl status nvidia-fabricmanager`",
  803: 'driver and libcuda are of different versions: reboot after a driver update, or start the container again',
  804: 'the CUDA compatibility package in use does not support this GPU: update the driver itself',
  999: RESTART,
};

/**
 * Says what a failed call means for us.
 * @param facts what was asked of it, such as `bytes=4096`
 */
export function errorOfCuda(call: string, code: number, codeName = cudaErrorName(code), facts = ''): Error {
  const error = new CudaError(call, code, codeName, facts === '' ? undefined : `[${facts}]`);
  if (code === CUDA_ERROR_OUT_OF_MEMORY) {
    const what = call === 'cuMemHostAlloc' ? 'the host can pin no more memory' : 'the GPU has no memory left';
    return new OutOfMemory(`${what}: ${error.message}`, { cause: error });
  }
  return deviceLost(code, error) ?? error;
}

/**
 * What a failure means after which the device can't be used any more by this process, with what to do.
 * @returns undefined where it still can
 */
export function deviceLost(code: number, cause: Error): DeviceLost | undefined {
  const remedy = lost[code];
  return remedy === undefined
    ? undefined
    : new DeviceLost(`the GPU can't be used: ${cause.message}; ${remedy}`, { cause });
}

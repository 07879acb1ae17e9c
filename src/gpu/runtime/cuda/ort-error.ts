import { OutOfMemory } from '../../../contract/errors.js';
import { CUDA_ERROR_LAUNCH_FAILED, deviceLost } from './cuda-error.js';

/** How ONNX Runtime's arenas, CUDA, cuBLAS and cuDNN say that memory is short. */
const NO_MEMORY =
  /out of memory|failed to allocate|bad_alloc|CUDA_ERROR_OUT_OF_MEMORY|Available memory of|(CUBLAS|CUDNN)_STATUS_\w*ALLOC/i;

/** `CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; …`, as ONNX Runtime's macros write it. */
const CUDA_FAILURE = /CUDA (?:failure|error):? (\d+)/;

/** What libraries above CUDA say once its context has failed, and what drivers say of hardware. */
const LOST =
  /(CUBLAS|CUDNN)_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR|MAPPING_ERROR|NOT_INITIALIZED)|illegal memory access|misaligned address|unspecified launch failure|launch timed out|device-side assert|uncorrectable|\bECC\b|\bXid\b|fallen off the bus/i;

/**
 * What a status of ONNX Runtime means for us: its code tells little, so its words decide. Failures of cuBLAS and cuDNN
 * that are about the call (not supported, a bad parameter) stay plain errors.
 * @returns OutOfMemory, DeviceLost (no run of this process can succeed any more), or Error with the message
 */
export function errorOfOrt(message: string): Error {
  if (NO_MEMORY.test(message)) {
    return new OutOfMemory(`the device has too little memory for this: ${message}`);
  }
  const error = new Error(message);
  const [, code] = CUDA_FAILURE.exec(message) ?? [];
  const lost = code === undefined ? undefined : deviceLost(Number(code), error);
  if (lost) return lost;
  return (LOST.test(message) && deviceLost(CUDA_ERROR_LAUNCH_FAILED, error)) || error;
}

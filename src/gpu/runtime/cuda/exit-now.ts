import { loadLibrary } from './native.js';

/**
 * Ends the process at once. `process.exit` waits for threads, and one that is in a call of the driver or of ONNX Runtime
 * that never returns would keep the process, and with it the GPU, for ever.
 */
export function exitNow(code: number): never {
  loadLibrary('libc.so.6').func('_exit', 'void', ['int'])(code);
  throw new Error('expected the process to be over');
}

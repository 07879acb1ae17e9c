import { inflateSync } from 'node:zlib';
import type { LibraryHandle } from 'koffi';
import type { ComputeType } from '../../graph/builder.js';
import { loadCuda } from './cuda-driver.js';
import { CUDA_SUCCESS, cudaErrorName } from './cuda-error.js';
import { KERNELS_FATBIN } from './kernels-fatbin.js';
import { addressOf, type Pointer, textAt } from './native.js';
import {
  type GatedProductCall,
  type GatedSumNormCall,
  GROUP_SLICE,
  type GroupNormCall,
  groupSlices,
  type OwnKernels,
  type RotateHeadsCall,
} from './own-kernels.js';

/** Threads of a block. */
const THREADS = 256;
/** Threads that make a head of a token. */
const WARP = 32;
/** Elements that a thread moves at once: 16 bytes of two each, or of four each. */
const EIGHT = 8;
const FOUR = 4;

/** The kernels of `tools/kernels/kernels.cu`, in the CUDA context that is current where they are launched. */
export function openOwnKernels(type: ComputeType): OwnKernels {
  return new CudaKernels(loadCuda(), type);
}

/** Code for the GPUs that most have, and PTX that the driver compiles for any other: it takes what fits. */
export function kernelsModule(): Buffer {
  return inflateSync(Buffer.from(KERNELS_FATBIN, 'base64'));
}

class CudaKernels implements OwnKernels {
  readonly provider = 'CUDAExecutionProvider';
  readonly #cuModuleLoadData;
  readonly #cuModuleGetFunction;
  readonly #cuLaunchKernel;
  readonly #cuGetErrorName;
  /** By name; made at the first launch, when ONNX Runtime has made the context current. */
  readonly #functions = new Map<string, Pointer>();
  #module: Pointer | undefined;

  constructor(
    library: LibraryHandle,
    private readonly type: ComputeType,
  ) {
    this.#cuModuleLoadData = library.func('cuModuleLoadData', 'int', ['uint64 *', 'uint8 *']);
    this.#cuModuleGetFunction = library.func('cuModuleGetFunction', 'int', ['uint64 *', 'uint64', 'str']);
    const launch = ['uint64', ...new Array(7).fill('uint'), 'uint64', 'uint64 *', 'void *'];
    this.#cuLaunchKernel = library.func('cuLaunchKernel', 'int', launch);
    this.#cuGetErrorName = library.func('cuGetErrorName', 'int', ['int', 'uint64 *']);
  }

  rotateHeads(call: RotateHeadsCall, stream: Pointer): void {
    const { images, tokens, first, allTokens, heads, size } = call;
    const parameters = new Parameters();
    for (const address of [call.x, call.scale, call.cos, call.sin, call.out]) parameters.address(address);
    for (const value of [images, tokens, first, allTokens, heads, size]) parameters.integer(value);
    parameters.float(call.epsilon);
    const blocks = Math.ceil((images * tokens * heads) / (THREADS / WARP));
    this.#launch(`rotate_heads_${this.type}`, [blocks], parameters, stream);
  }

  gatedProduct(call: GatedProductCall, stream: Pointer): void {
    const parameters = new Parameters();
    for (const address of [call.before, call.gate, call.value, call.out]) parameters.address(address);
    parameters.integer(call.beforeWidth / EIGHT);
    parameters.integer(call.width / EIGHT);
    this.#launch(`gated_product_${this.type}`, [call.rows], parameters, stream);
  }

  gatedSumNorm(call: GatedSumNormCall, stream: Pointer): void {
    const { before, change, gate, factor, shift, sum, normed } = call;
    const parameters = new Parameters();
    for (const address of [before, change, gate, factor, shift, sum, normed]) parameters.address(address);
    parameters.integer(call.width / EIGHT);
    parameters.float(call.epsilon);
    this.#launch(`gated_sum_norm_${this.type}`, [call.rows], parameters, stream);
  }

  groupNorm(call: GroupNormCall, stream: Pointer): void {
    const { x, scale, bias, out, room, images, channels, pixels, groups } = call;
    const grid = [groupSlices(call), images * groups] as const;
    const length = ((channels / groups) * pixels) / FOUR;
    const slice = GROUP_SLICE / FOUR;
    const sums = new Parameters();
    for (const address of [x, room]) sums.address(address);
    for (const value of [length, slice]) sums.integer(value);
    this.#launch('group_sums_float32', grid, sums, stream);
    const parameters = new Parameters();
    for (const address of [x, room, scale, bias, out]) parameters.address(address);
    for (const value of [length, slice, pixels / FOUR, groups]) parameters.integer(value);
    parameters.float(call.epsilon);
    parameters.integer(Number(call.silu));
    this.#launch('group_norm_float32', grid, parameters, stream);
  }

  /** @throws Error with the driver's answer */
  #launch(
    kernel: string,
    [blocks, rowsOfBlocks = 1]: readonly [number, number?],
    { pointers }: Parameters,
    stream: Pointer,
  ): void {
    const launched = this.#function(kernel);
    const grid = [blocks, rowsOfBlocks, 1] as const;
    const block = [THREADS, 1, 1] as const;
    const shared = 0;
    this.#check(
      'cuLaunchKernel',
      this.#cuLaunchKernel(launched, ...grid, ...block, shared, stream, pointers, 0n),
      `kernel=${kernel}`,
    );
  }

  #function(name: string): Pointer {
    const known = this.#functions.get(name);
    if (known !== undefined) return known;
    const out = new BigUint64Array(1);
    if (this.#module === undefined) {
      this.#check('cuModuleLoadData', this.#cuModuleLoadData(out, kernelsModule()));
      this.#module = out[0] as Pointer;
    }
    this.#check('cuModuleGetFunction', this.#cuModuleGetFunction(out, this.#module, name), `kernel=${name}`);
    const found = out[0] as Pointer;
    this.#functions.set(name, found);
    return found;
  }

  #check(call: string, code: number, facts?: string): void {
    if (code === CUDA_SUCCESS) return;
    const name = new BigUint64Array(1);
    const isKnown = this.#cuGetErrorName(code, name) === CUDA_SUCCESS && name[0];
    // ONNX Runtime keeps an error's words only: these are its own, see `ort-error.ts`.
    throw new Error(
      `CUDA failure ${code}: ${isKnown ? textAt(isKnown) : cudaErrorName(code)} of ${call}${facts === undefined ? '' : ` [${facts}]`}`,
    );
  }
}

/** What a kernel is called with: values side by side, and the address of each. Read before a launch returns. */
class Parameters {
  readonly #values = Buffer.alloc(MOST_PARAMETERS * 8);
  readonly #addresses = new BigUint64Array(MOST_PARAMETERS);
  #count = 0;

  get pointers(): BigUint64Array {
    return this.#addresses;
  }

  address(value: Pointer): void {
    this.#values.writeBigUInt64LE(value, this.#next());
  }

  integer(value: number): void {
    this.#values.writeInt32LE(value, this.#next());
  }

  float(value: number): void {
    this.#values.writeFloatLE(value, this.#next());
  }

  #next(): number {
    const at = this.#count * 8;
    this.#addresses[this.#count++] = addressOf(this.#values) + BigInt(at);
    return at;
  }
}

const MOST_PARAMETERS = 12;

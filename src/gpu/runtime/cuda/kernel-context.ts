import type { Pointer } from './native.js';
import { type OrtFunctions, type Status, takeMessage } from './ort-functions.js';

/** ONNX Runtime's `OrtKernelContext`: what one computation of a custom operator is given, and where its results go. */
export class KernelContext {
  readonly #inputs: number;

  constructor(
    private readonly functions: OrtFunctions,
    private readonly context: Pointer,
    /** Where ONNX Runtime writes results: its own, for calls that don't overlap. */
    private readonly out: BigUint64Array,
  ) {
    this.#inputs = Number(this.#make((to) => functions.KernelContext_GetInputCount(context, to)));
  }

  /** Whether an optional input is there. */
  has(index: number): boolean {
    return index < this.#inputs && this.#value(index) !== 0n;
  }

  /** Where an input's elements are. */
  input(index: number): Pointer {
    return this.#address(this.#value(index));
  }

  dims(index: number): number[] {
    const value = this.#value(index);
    const info = this.#make((to) => this.functions.GetTensorTypeAndShape(value, to));
    try {
      const rank = Number(this.#make((to) => this.functions.GetDimensionsCount(info, to)));
      const dims = new BigInt64Array(rank);
      checkStatus(this.functions, this.functions.GetDimensions(info, dims, rank));
      return [...dims].map(Number);
    } finally {
      this.functions.ReleaseTensorTypeAndShapeInfo(info);
    }
  }

  /** Takes memory for a result. @returns where its elements are to be written */
  output(index: number, dims: readonly number[]): Pointer {
    const shape = BigInt64Array.from(dims, BigInt);
    return this.#address(
      this.#make((to) =>
        this.functions.KernelContext_GetOutput(this.context, index, shape, shape.length, to),
      ),
    );
  }

  /** What work on a GPU is given to. */
  get stream(): Pointer {
    return this.#make((to) => this.functions.KernelContext_GetGPUComputeStream(this.context, to));
  }

  #value(index: number): Pointer {
    return this.#make((to) => this.functions.KernelContext_GetInput(this.context, index, to));
  }

  #address(value: Pointer): Pointer {
    return this.#make((to) => this.functions.GetTensorMutableData(value, to));
  }

  #make(create: (out: BigUint64Array) => Status): Pointer {
    checkStatus(this.functions, create(this.out));
    return this.out[0] as Pointer;
  }
}

/** @throws Error with the message that the status holds */
export function checkStatus(functions: OrtFunctions, status: Status): void {
  const message = takeMessage(functions, status);
  if (message !== undefined) throw new Error(message);
}

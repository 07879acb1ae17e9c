import type { ComputeType } from '../../graph/builder.js';
import type { Pointer } from './native.js';

/** Tensors are addresses where the provider computes; see `RotateHeads` of `own-operators.ts` for what they hold. */
export interface RotateHeadsCall {
  /** [images, tokens, heads × size] */
  readonly x: Pointer;
  /** [size] */
  readonly scale: Pointer;
  /** float32 [allTokens, size / 2] */
  readonly cos: Pointer;
  readonly sin: Pointer;
  /** [images, allTokens, heads × size]: the tokens from `first` on are written. */
  readonly out: Pointer;
  readonly images: number;
  readonly tokens: number;
  readonly first: number;
  readonly allTokens: number;
  readonly heads: number;
  readonly size: number;
  readonly epsilon: number;
  /** What the device's work is given to; 0 on the CPU. */
  readonly stream: Pointer;
}

/** See `GatedProduct` of `own-operators.ts`. */
export interface GatedProductCall {
  /** [rows, beforeWidth]; 0 where that is 0. */
  readonly before: Pointer;
  /** [rows, width], as `value` is. */
  readonly gate: Pointer;
  readonly value: Pointer;
  /** [rows, beforeWidth + width] */
  readonly out: Pointer;
  readonly rows: number;
  readonly beforeWidth: number;
  readonly width: number;
  readonly stream: Pointer;
}

/** What computes the operators of our own. Calls return when the work is given to the device. */
export interface OwnKernels {
  /** ONNX Runtime's name of the provider whose tensors they take; undefined: the CPU's. */
  readonly provider: string | undefined;
  rotateHeads(call: RotateHeadsCall): void;
  gatedProduct(call: GatedProductCall): void;
}

/** A module that has kernels: loaded where runs are made. */
export interface OwnKernelsModule {
  openOwnKernels(type: ComputeType): OwnKernels;
}

/** Which kernels a session's graph needs, where it is made of operators of our own. */
export interface OwnKernelsSource {
  /** URL of an `OwnKernelsModule`. */
  readonly module: string;
  /** What the graph computes in. */
  readonly type: ComputeType;
}

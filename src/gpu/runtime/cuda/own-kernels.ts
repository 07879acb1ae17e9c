import type { ComputeType } from '../../graph/builder.js';
import type { Pointer } from './native.js';

/*
 * What computes the operators of our own. Tensors are addresses where the provider computes; `own-operators.ts` tells
 * what they hold.
 */

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
}

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
}

export interface GatedSumNormCall {
  /** [rows, width], as `change`, `sum` and `normed` are. */
  readonly before: Pointer;
  readonly change: Pointer;
  /** [width], as `factor` and `shift` are. */
  readonly gate: Pointer;
  readonly factor: Pointer;
  readonly shift: Pointer;
  readonly sum: Pointer;
  readonly normed: Pointer;
  readonly rows: number;
  readonly width: number;
  readonly epsilon: number;
}

/** All float32. */
export interface GroupNormCall {
  /** [images, channels, pixels], as `out` is. */
  readonly x: Pointer;
  /** [channels], as `bias` is. */
  readonly scale: Pointer;
  readonly bias: Pointer;
  readonly out: Pointer;
  /** `groupNormRoom` elements. */
  readonly room: Pointer;
  readonly images: number;
  readonly channels: number;
  readonly pixels: number;
  readonly groups: number;
  readonly epsilon: number;
  readonly silu: boolean;
}

/** Calls return when the work is given to the device. */
export interface OwnKernels {
  /** ONNX Runtime's name of the provider whose tensors they take; undefined: the CPU's. */
  readonly provider: string | undefined;
  /** @param stream what the device's work is given to; 0 on the CPU */
  rotateHeads(call: RotateHeadsCall, stream: Pointer): void;
  gatedProduct(call: GatedProductCall, stream: Pointer): void;
  gatedSumNorm(call: GatedSumNormCall, stream: Pointer): void;
  groupNorm(call: GroupNormCall, stream: Pointer): void;
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

/** A group is summed in slices of so many elements. */
export const GROUP_SLICE = 16_384;

/** In how many slices. */
export function groupSlices({
  channels,
  pixels,
  groups,
}: Pick<GroupNormCall, 'channels' | 'pixels' | 'groups'>): number {
  return Math.ceil(((channels / groups) * pixels) / GROUP_SLICE);
}

/** Elements of float32 that hold two sums in float64 for every slice. */
export function groupNormRoom(
  shape: Pick<GroupNormCall, 'images' | 'channels' | 'pixels' | 'groups'>,
): number {
  return shape.images * shape.groups * groupSlices(shape) * 4;
}

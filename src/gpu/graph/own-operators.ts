import type { ComputeType, GraphBuilder, Value } from './builder.js';

/*
 * Operators of our own, for runtimes that have kernels for them: each does in one pass over its tensors what takes
 * several of ONNX's. They compute in float32 and round once.
 */

/** Their domain. */
export const OWN = 'temporal_diffusion';
/** Their only version. */
export const OWN_VERSION = 1;

export interface OperatorInput {
  readonly type: 'compute' | 'float32';
  readonly isOptional?: boolean;
}

/** What each is given; its one result is of the compute type. */
export const OWN_OPERATORS = {
  /**
   * Attributes `heads` (H) and `epsilon`. x [B, S, H × D], its scale [D], cos and sin [T, D / 2], and, behind these
   * tokens, others [B, R, H × D] with a scale of their own; T = S + R. Every head is normalised by its root mean
   * square, scaled, and turned: a pair of neighbours is one plane. → [B, T, H × D]
   */
  RotateHeads: [
    { type: 'compute' },
    { type: 'compute' },
    { type: 'float32' },
    { type: 'float32' },
    { type: 'compute', isOptional: true },
    { type: 'compute', isOptional: true },
  ],
  /** gate and value [B, S, C], and what stands before their product [B, S, N] → that, then silu(gate) · value: [B, S, N + C] */
  GatedProduct: [{ type: 'compute' }, { type: 'compute' }, { type: 'compute', isOptional: true }],
} as const satisfies Record<string, readonly OperatorInput[]>;
export type OwnOperatorName = keyof typeof OWN_OPERATORS;

/** Elements that kernels move at once: sides of tensors are multiples of it. */
const VECTOR = 8;
const LARGEST_HEAD = 256;

/** Whether kernels can do it for a denoiser of these sizes. */
export function canUseOwnOperators(headSize: number, ...sides: readonly number[]): boolean {
  return headSize <= LARGEST_HEAD && headSize % VECTOR === 0 && sides.every((side) => side % VECTOR === 0);
}

/** Heads side by side in the last axis, and the scale that they are normalised with. */
export interface ScaledHeads {
  readonly heads: Value;
  readonly scale: Value;
}

/** See `RotateHeads`. @param parts one after the other along the tokens */
export function rotateHeads(
  graph: GraphBuilder,
  [first, second]: readonly [ScaledHeads, ScaledHeads?],
  { cos, sin }: { readonly cos: Value; readonly sin: Value },
  { heads, epsilon }: { readonly heads: number; readonly epsilon: number },
): Value {
  const rest = second ? [second.heads, second.scale] : [];
  return graph.op('RotateHeads' satisfies OwnOperatorName, [first.heads, first.scale, cos, sin, ...rest], {
    domain: OWN,
    attributes: { heads, epsilon: { float: epsilon } },
  });
}

/** See `GatedProduct`. */
export function gatedProduct(graph: GraphBuilder, gate: Value, value: Value, before?: Value): Value {
  return graph.op('GatedProduct' satisfies OwnOperatorName, [gate, value, ...(before ? [before] : [])], {
    domain: OWN,
  });
}

/** Whether a graph, as ONNX protobuf, is made of such operators too. */
export function usesOwnOperators(graph: Uint8Array): boolean {
  return Buffer.from(graph.buffer, graph.byteOffset, graph.byteLength).includes(OWN);
}

/** What stands for an input's type in a graph that computes in `compute`. */
export function typeOfInput({ type }: OperatorInput, compute: ComputeType): ComputeType {
  return type === 'compute' ? compute : type;
}

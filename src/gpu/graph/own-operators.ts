import type { ComputeType, GraphBuilder, Value } from './builder.js';

/*
 * Operators of our own, for runtimes that have kernels for them: each does in one pass over its tensors what takes
 * several of ONNX's. They compute in float32 and round once.
 */

/** Their domain. */
export const OWN = 'temporal_diffusion';
/** Their only version. */
export const OWN_VERSION = 1;

/** The type of a tensor's elements: what the graph computes in, or always the same. */
export type OperandType = 'compute' | 'float32';

export interface OwnOperator {
  readonly inputs: readonly OperandType[];
  /** So many of the inputs, the last ones, may be left out. */
  readonly optional?: number;
  readonly outputs: readonly OperandType[];
  readonly attributes: Readonly<Record<string, 'integer' | 'float'>>;
}

export const OWN_OPERATORS = {
  /**
   * x [B, S, H × D], its scale [D], cos and sin [T, D / 2], and, behind these tokens, others [B, R, H × D] with a scale
   * of their own; T = S + R. Every head is normalised by its root mean square, scaled, and turned: a pair of neighbours
   * is one plane. → [B, T, H × D]
   */
  RotateHeads: {
    inputs: ['compute', 'compute', 'float32', 'float32', 'compute', 'compute'],
    optional: 2,
    outputs: ['compute'],
    attributes: { heads: 'integer', epsilon: 'float' },
  },
  /** gate and value [B, S, C], and what stands before their product [B, S, N] → that, then silu(gate) · value: [B, S, N + C] */
  GatedProduct: {
    inputs: ['compute', 'compute', 'compute'],
    optional: 1,
    outputs: ['compute'],
    attributes: {},
  },
  /**
   * before and change [B, S, C]; gate, factor and shift [C] → sum = before + gate · change, and that normalised over its
   * last axis, · factor + shift; [B, S, C] each
   */
  GatedSumNorm: {
    inputs: ['compute', 'compute', 'compute', 'compute', 'compute'],
    outputs: ['compute', 'compute'],
    attributes: { epsilon: 'float' },
  },
  /**
   * x [B, C, H, W], scale and bias [C] → x normalised over each of its groups of channels, · scale + bias, then through
   * silu where that is 1: [B, C, H, W]; and room that it needs for sums.
   */
  GroupNorm: {
    inputs: ['float32', 'float32', 'float32'],
    outputs: ['float32', 'float32'],
    attributes: { groups: 'integer', epsilon: 'float', silu: 'integer' },
  },
  /** x → x itself, once the weights of this stage are in place: see `GraphBuilder.beginStage`. */
  AwaitWeights: {
    inputs: ['compute'],
    outputs: ['compute'],
    attributes: { stage: 'integer' },
  },
} as const satisfies Record<string, OwnOperator>;
export type OwnOperatorName = keyof typeof OWN_OPERATORS;

/** Elements that kernels move at once: sides of tensors are multiples of it. */
const VECTOR = 8;
const LARGEST_HEAD = 256;
const LARGEST_ROW = 8192;

/** Whether kernels can do it for a denoiser of these sizes. */
export function canUseOwnOperators(headSize: number, tokenSize: number, innerSize: number): boolean {
  const isEven = [headSize, tokenSize, innerSize].every((side) => side % VECTOR === 0);
  return isEven && headSize <= LARGEST_HEAD && tokenSize <= LARGEST_ROW;
}

/** Whether there is a kernel for a decoder's group normalisation. @param patch whose sides all pictures' are multiples of */
export function canNormaliseGroups(
  compute: ComputeType,
  [height, width]: readonly [number, number],
): boolean {
  return compute === 'float32' && (height * width) % (VECTOR / 2) === 0;
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

/** See `AwaitWeights`. */
export function awaitWeights(graph: GraphBuilder, x: Value, stage: number): Value {
  return graph.op('AwaitWeights' satisfies OwnOperatorName, [x], { domain: OWN, attributes: { stage } });
}

/** See `GatedProduct`. */
export function gatedProduct(graph: GraphBuilder, gate: Value, value: Value, before?: Value): Value {
  return graph.op('GatedProduct' satisfies OwnOperatorName, [gate, value, ...(before ? [before] : [])], {
    domain: OWN,
  });
}

/** See `GatedSumNorm`. */
export function gatedSumNorm(
  graph: GraphBuilder,
  { before, change, gate }: { readonly before: Value; readonly change: Value; readonly gate: Value },
  { factor, shift }: { readonly factor: Value; readonly shift: Value },
  epsilon: number,
): { readonly sum: Value; readonly normed: Value } {
  const [sum, normed] = graph.ops(
    'GatedSumNorm' satisfies OwnOperatorName,
    [before, change, gate, factor, shift],
    2,
    { domain: OWN, attributes: { epsilon: { float: epsilon } } },
  );
  return { sum: sum as Value, normed: normed as Value };
}

/** See `GroupNorm`. */
export function groupNorm(
  graph: GraphBuilder,
  x: Value,
  { scale, bias }: { readonly scale: Value; readonly bias: Value },
  { groups, epsilon, silu }: { readonly groups: number; readonly epsilon: number; readonly silu: boolean },
): Value {
  const attributes = { groups, epsilon: { float: epsilon }, silu: Number(silu) };
  const [normed] = graph.ops('GroupNorm' satisfies OwnOperatorName, [x, scale, bias], 2, {
    domain: OWN,
    attributes,
  });
  return normed as Value;
}

/** Whether a graph, as ONNX protobuf, is made of such operators too. */
export function usesOwnOperators(graph: Uint8Array): boolean {
  return Buffer.from(graph.buffer, graph.byteOffset, graph.byteLength).includes(OWN);
}

import { type ComputeType, type GraphBuilder, MICROSOFT, type Value } from './builder.js';

/** x · Wᵀ with W as PyTorch stores it, [out, in]; float32 on the CPU packs it once. */
export function linear(graph: GraphBuilder, x: Value, name: string, from: number, to: number): Value {
  return graph.op('FusedMatMul', [x, graph.weight(`${name}.weight`, [to, from])], {
    domain: MICROSOFT,
    attributes: { transB: 1 },
  });
}

/**
 * `linear`, its result in parts of those sizes. Every part is a product with its own rows of the weight: cutting one
 * large result apart would copy it.
 */
export function linearParts(
  graph: GraphBuilder,
  x: Value,
  name: string,
  from: number,
  sizes: readonly number[],
): Value[] {
  const to = sizes.reduce((sum, size) => sum + size, 0);
  let row = 0;
  return sizes.map((size) => {
    const rows = { from: row, to: row + size };
    row = rows.to;
    return graph.op('FusedMatMul', [x, graph.weight(`${name}.weight`, [to, from], { rows })], {
      domain: MICROSOFT,
      attributes: { transB: 1 },
    });
  });
}

/** x · Wᵀ + b */
export function biasedLinear(graph: GraphBuilder, x: Value, name: string, from: number, to: number): Value {
  return add(graph, linear(graph, x, name, from, to), graph.weight(`${name}.bias`, [to]));
}

export function add(graph: GraphBuilder, a: Value, b: Value): Value {
  return graph.op('Add', [a, b]);
}

export function multiply(graph: GraphBuilder, a: Value, b: Value): Value {
  return graph.op('Mul', [a, b]);
}

/** x · sigmoid(x): what ONNX Runtime calls QuickGelu, with a factor of 1. One pass over `x` in place of two. */
export function silu(graph: GraphBuilder, x: Value): Value {
  return graph.op('QuickGelu', [x], { domain: MICROSOFT, attributes: { alpha: { float: 1 } } });
}

export function concat(graph: GraphBuilder, values: readonly Value[], axis: number): Value {
  return graph.op('Concat', values, { attributes: { axis } });
}

/** Cuts `x` along `axis` into parts of those sizes. */
export function split(graph: GraphBuilder, x: Value, sizes: readonly number[], axis: number): Value[] {
  return graph.ops('Split', [x, graph.integers(sizes)], sizes.length, { attributes: { axis } });
}

/** A dimension of 0 is kept as it is, one of -1 takes what is left. */
export function reshape(graph: GraphBuilder, x: Value, dims: readonly number[]): Value {
  return graph.op('Reshape', [x, graph.integers(dims)]);
}

export function transpose(graph: GraphBuilder, x: Value, perm: readonly number[]): Value {
  return graph.op('Transpose', [x], { attributes: { perm } });
}

/** Layer normalisation over the last axis, with a learned scale and shift. */
export function layerNorm(graph: GraphBuilder, x: Value, name: string, size: number, eps: number): Value {
  return graph.op(
    'LayerNormalization',
    [x, graph.weight(`${name}.weight`, [size]), graph.weight(`${name}.bias`, [size])],
    {
      attributes: { axis: -1, epsilon: { float: eps } },
    },
  );
}

/** Layer normalisation over the last axis of `x` [B, S, C], then · factor + shift, [C] each. */
export function modulatedLayerNorm(
  graph: GraphBuilder,
  x: Value,
  { factor, shift }: { readonly factor: Value; readonly shift: Value },
  eps: number,
): Value {
  return graph.op('LayerNormalization', [x, factor, shift], {
    attributes: { axis: -1, epsilon: { float: eps } },
  });
}

/** `modulatedLayerNorm` of a + b [B, S, C], beside that sum. */
export function modulatedSumNorm(
  graph: GraphBuilder,
  [a, b]: readonly [Value, Value],
  { factor, shift }: { readonly factor: Value; readonly shift: Value },
  eps: number,
): { readonly sum: Value; readonly normed: Value } {
  const [normed, , , sum] = graph.ops('SkipLayerNormalization', [a, b, factor, shift], 4, {
    domain: MICROSOFT,
    attributes: { epsilon: { float: eps } },
    without: [1, 2],
  });
  return { sum: sum as Value, normed: normed as Value };
}

/** Root-mean-square normalisation over the last axis of `x`, which is of `type`, with a learned scale. */
export function rmsNorm(
  graph: GraphBuilder,
  x: Value,
  name: string,
  size: number,
  eps: number,
  type: ComputeType,
): Value {
  return graph.op('SimplifiedLayerNormalization', [x, graph.weight(`${name}.weight`, [size], { type })], {
    attributes: { axis: -1, epsilon: { float: eps } },
  });
}

export interface AttentionInputs {
  /** [B, S, heads × size] each. */
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
  /** int32 [B, S]: 0 where a key must not be seen. */
  readonly keyMask?: Value;
}

/** softmax(QKᵀ / √size) · V, heads side by side in the last axis. */
export function attention(graph: GraphBuilder, inputs: AttentionInputs, heads: number): Value {
  const { query, key, value, keyMask } = inputs;
  const operands = keyMask ? [query, key, value, undefined, keyMask] : [query, key, value];
  return graph.op('MultiHeadAttention', operands, { domain: MICROSOFT, attributes: { num_heads: heads } });
}

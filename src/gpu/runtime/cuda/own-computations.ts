import type { OwnOperatorName } from '../../graph/own-operators.js';
import type { KernelContext } from './kernel-context.js';
import type { Pointer } from './native.js';
import { groupNormRoom, type OwnKernels } from './own-kernels.js';

/** The attributes of a node, by name. */
export type Attributes = Readonly<Record<string, number>>;

interface Computation {
  readonly context: KernelContext;
  readonly attributes: Attributes;
  readonly kernels: OwnKernels;
  readonly stream: Pointer;
  /** Returns when the weights of a stage are in place. @throws Error where they will not come */
  readonly awaitWeights: (stage: number) => void;
}

/** How each operator's inputs become calls of kernels. Nothing is launched for tensors without elements. */
export const COMPUTATIONS: Readonly<Record<OwnOperatorName, (computation: Computation) => void>> = {
  RotateHeads({ context, attributes: { heads = 1, epsilon = 0 }, kernels, stream }) {
    const parts = context.has(4) ? [0, 4] : [0];
    const dims = parts.map((part) => context.dims(part));
    const [images = 0, , width = 0] = dims[0] ?? [];
    const allTokens = dims.reduce((sum, [, tokens = 0]) => sum + tokens, 0);
    const tables = { cos: context.input(2), sin: context.input(3) };
    const out = context.output(0, [images, allTokens, width]);
    const common = { ...tables, out, images, allTokens, heads, size: width / heads, epsilon };
    let first = 0;
    for (const [index, part] of parts.entries()) {
      const tokens = dims[index]?.[1] ?? 0;
      const x = context.input(part);
      const scale = context.input(part + 1);
      if (images * tokens > 0) kernels.rotateHeads({ ...common, x, scale, tokens, first }, stream);
      first += tokens;
    }
  },

  GatedProduct({ context, kernels, stream }) {
    const [images = 0, tokens = 0, width = 0] = context.dims(0);
    const [, , beforeWidth = 0] = context.has(2) ? context.dims(2) : [];
    const before = context.has(2) ? context.input(2) : 0n;
    const [gate, value] = [context.input(0), context.input(1)];
    const out = context.output(0, [images, tokens, beforeWidth + width]);
    const rows = images * tokens;
    if (rows > 0) kernels.gatedProduct({ before, gate, value, out, rows, beforeWidth, width }, stream);
  },

  GatedSumNorm({ context, attributes: { epsilon = 0 }, kernels, stream }) {
    const dims = context.dims(0);
    const [images = 0, tokens = 0, width = 0] = dims;
    const [before, change] = [context.input(0), context.input(1)];
    const modulation = { gate: context.input(2), factor: context.input(3), shift: context.input(4) };
    const [sum, normed] = [context.output(0, dims), context.output(1, dims)];
    const rows = images * tokens;
    if (rows === 0) return;
    kernels.gatedSumNorm({ before, change, ...modulation, sum, normed, rows, width, epsilon }, stream);
  },

  GroupNorm({ context, attributes: { groups = 1, epsilon = 0, silu = 0 }, kernels, stream }) {
    const dims = context.dims(0);
    const [images = 0, channels = 0, height = 0, width = 0] = dims;
    const shape = { images, channels, pixels: height * width, groups };
    const tensors = { x: context.input(0), scale: context.input(1), bias: context.input(2) };
    const out = context.output(0, dims);
    const room = context.output(1, [groupNormRoom(shape)]);
    if (images * shape.pixels === 0) return;
    kernels.groupNorm({ ...tensors, ...shape, out, room, epsilon, silu: silu !== 0 }, stream);
  },

  AwaitWeights({ context, attributes: { stage = 0 }, awaitWeights }) {
    awaitWeights(stage);
    // It is the input's own memory.
    const there = context.input(0);
    const out = context.output(0, context.dims(0));
    if (out !== there) throw new Error('expected ONNX Runtime to pass a tensor on in its place');
  },
};

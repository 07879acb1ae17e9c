import { join } from 'node:path';
import type { StoredTensor } from '../checkpoint/safetensors.js';
import { expectTensor, fileNameOf, type Weights } from '../checkpoint/weights.js';
import { dtypeOf, ElementType, GRAPH_DTYPES, storedType } from './element-type.js';
import {
  type AttributeProto,
  AttributeType,
  EXTERNAL,
  encodeModel,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './onnx.js';
import { awaitWeights, OWN, OWN_VERSION, type OwnOperatorName } from './own-operators.js';
import { bfloat16Bits, float16Bits } from './small-floats.js';

/** ONNX operators of opset 21; ONNX Runtime's fused ones are in `MICROSOFT`. */
const OPSET = 21;
const IR_VERSION = 10;
export const MICROSOFT = 'com.microsoft';

/** What a graph computes in. Its inputs and outputs are float32 and integers whatever it is. */
export type ComputeType = 'float32' | 'bfloat16' | 'float16';

/** A tensor that a graph reads, or some rows of one: where it lies, and in `shape` how the graph sees it. */
export interface GraphWeight extends StoredTensor {
  /** The name of the graph's initializer: the tensor's, with `[from:to]` where it is rows of it. */
  readonly name: string;
}

/** One component as ONNX, beside the weights that it takes from the checkpoint's files. */
export interface Graph {
  /** ONNX protobuf. */
  readonly bytes: Uint8Array;
  /** All external data that the graph refers to and nothing else, in order of first use. */
  readonly weights: readonly GraphWeight[];
  readonly compute: ComputeType;
  /**
   * Where it may run while weights are still on their way: how many of them, the first ones, have to be in place for
   * each of its stages. Undefined where all have to be.
   */
  readonly stages?: readonly number[];
}

/** A tensor inside the graph. */
export interface Value {
  readonly name: string;
}

/** Integers become ints, other numbers floats: write `float(1)` for a float attribute that may be whole. */
export type Attribute = number | string | readonly number[] | { readonly float: number };

export interface OperatorOptions {
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Places of optional results that are not asked for. */
  readonly without?: readonly number[];
}

export interface WeightOptions {
  /** The shape to see it in, where an operator wants other dimensions over the same elements. Not with `rows`. */
  readonly as?: readonly number[];
  /** Default: the compute type. */
  readonly type?: ComputeType;
  /** Only these rows of its first axis, `to` not included: they lie in one piece. */
  readonly rows?: Rows;
}

export interface Rows {
  readonly from: number;
  readonly to: number;
}

/**
 * Builds one ONNX graph that computes in one type. Its weights are external data: they point into the checkpoint's
 * own safetensors files. Those stored in the compute type are operands as they are, others are cast at every run:
 * a runtime whose weights are still on their way can't fold anything into them.
 */
export class GraphBuilder {
  readonly #nodes: NodeProto[] = [];
  readonly #initializers = new Map<string, TensorProto>();
  readonly #constants = new Map<string, Value>();
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  #values = 0;
  /** How many weights there were when each stage after the first began. */
  readonly #stageStarts: number[] = [];
  #externals = 0;

  constructor(
    private readonly name: string,
    private readonly weights: Weights,
    /** The type of weights, constants and everything between, where nothing else is said. */
    readonly compute: ComputeType,
  ) {}

  /**
   * The type that sums over many layers are kept in. They outgrow half precision (65504), so there it is float32;
   * bfloat16 has float32's range.
   */
  get sums(): ComputeType {
    return this.compute === 'float16' ? 'float32' : this.compute;
  }

  /** @param dims a number, or the name of a dimension that is known at run time only */
  input(name: string, type: ElementType, dims: readonly (number | string)[]): Value {
    this.#inputs.push(valueInfo(name, type, dims));
    return { name };
  }

  /** Makes `value` an output of the graph under that name. */
  output(name: string, type: ElementType, dims: readonly (number | string)[], value: Value): void {
    this.#nodes.push({
      name,
      opType: 'Identity',
      domain: '',
      input: [value.name],
      output: [name],
      attribute: [],
    });
    this.#outputs.push(valueInfo(name, type, dims));
  }

  /** One operator with one result. */
  op(opType: string, inputs: readonly (Value | undefined)[], options: OperatorOptions = {}): Value {
    return this.ops(opType, inputs, 1, options)[0] as Value;
  }

  /** One operator with several results. `undefined` stands for an optional input that is left out. */
  ops(
    opType: string,
    inputs: readonly (Value | undefined)[],
    results: number,
    options: OperatorOptions = {},
  ): Value[] {
    const name = `${opType}_${this.#values++}`;
    const outputs = Array.from({ length: results }, (_, index) => ({
      name: index === 0 ? name : `${name}.${index}`,
    }));
    this.#nodes.push({
      name,
      opType,
      domain: options.domain ?? '',
      input: inputs.map((value) => value?.name ?? ''),
      output: outputs.map(({ name }, index) => (options.without?.includes(index) ? '' : name)),
      attribute: Object.entries(options.attributes ?? {}).map(([key, value]) => attribute(key, value)),
    });
    return outputs;
  }

  /** `value`, which is of type `from`, as `to`. */
  cast(value: Value, from: ElementType, to: ElementType): Value {
    return from === to ? value : this.op('Cast', [value], { attributes: { to: ElementType[to] } });
  }

  /** A small constant that stands in the graph itself. */
  floats(
    values: readonly number[],
    dims: readonly number[] = [values.length],
    type: ComputeType = this.compute,
  ): Value {
    return this.#constant(type, dims, encodeFloats(values, type));
  }

  /** A constant of 64-bit integers: shapes, axes, indices. */
  integers(values: readonly number[], dims: readonly number[] = [values.length]): Value {
    return this.#constant('int64', dims, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  /**
   * A weight in the compute type.
   * @param shape what the component's config says it must be
   * @throws CheckpointInvalid where it is missing or does not fit
   */
  weight(
    name: string,
    shape: readonly number[],
    { rows, as, type = this.compute }: WeightOptions = {},
  ): Value {
    const stored = expectTensor(this.weights, name, shape, GRAPH_DTYPES);
    const seen = as ?? shape.with(0, rows ? rows.to - rows.from : (shape[0] as number));
    const value = this.#external(name, stored, seen, rows);
    if (stored.dtype !== 'I8') return this.cast(value, storedType(stored.dtype), type);
    const scales = this.#scales(
      name,
      shape[0] as number,
      [seen[0] as number, ...seen.slice(1).map(() => 1)],
      rows,
    );
    return this.#scaled(value, scales, type);
  }

  /**
   * Rows of a table, chosen before they are cast: an embedding table is never widened as a whole.
   * @param indices int64 of any shape
   * @param type    of the result; the compute type unless given
   */
  rows(
    name: string,
    shape: readonly [number, number],
    indices: Value,
    type: ComputeType = this.compute,
  ): Value {
    const stored = expectTensor(this.weights, name, shape, GRAPH_DTYPES);
    const chosen = this.op('Gather', [this.#external(name, stored, shape), indices]);
    if (stored.dtype !== 'I8') return this.cast(chosen, storedType(stored.dtype), type);
    const scales = this.op('Gather', [this.#scales(name, shape[0], [shape[0], 1]), indices]);
    return this.#scaled(chosen, scales, type);
  }

  /**
   * Begins a stage of the graph: weights that are first used from here on may come later than those before, if all that
   * uses them comes from what `staged` returns from here on. Only for graphs with operators of our own.
   */
  beginStage(): void {
    this.#stageStarts.push(this.#externals);
  }

  /** `value`, of the compute type, once the weights of the stage are in place. */
  staged(value: Value): Value {
    return awaitWeights(this, value, this.#stageStarts.length);
  }

  finish(): Graph {
    const initializers = [...this.#initializers.values()];
    const bytes = encodeModel({
      irVersion: IR_VERSION,
      producerName: 'temporal-diffusion',
      opsetImport: [
        { domain: '', version: OPSET },
        { domain: MICROSOFT, version: 1 },
        ...(this.#nodes.some(({ domain }) => domain === OWN) ? [{ domain: OWN, version: OWN_VERSION }] : []),
      ],
      graph: {
        name: this.name,
        node: this.#nodes,
        initializer: initializers,
        input: this.#inputs,
        output: this.#outputs,
      },
    });
    const weights = weightsOf(initializers, this.weights.folder);
    const stages = this.#stages(weights);
    return { bytes, weights, compute: this.compute, ...(stages && { stages }) };
  }

  /**
   * How many weights each stage needs; undefined where there is one stage, or where something reads a weight that does
   * not wait for it: one that is cast, which ONNX Runtime may do at any time.
   * @throws Error where what waits for a stage does not come from what waited for the one before: ONNX Runtime computes
   * what hangs on nothing first, and would stand still there until that stage's weights are in place
   */
  #stages(weights: readonly GraphWeight[]): readonly number[] | undefined {
    if (this.#stageStarts.length === 0) return undefined;
    const needed = [...this.#stageStarts, weights.length];
    const stageOf = new Map(
      weights.map(({ name }, index) => [name, needed.findIndex((count) => index < count)]),
    );
    /** The stage whose weights are in place when a value is computed. */
    const reached = new Map<string, number>();
    for (const { opType, input, output, attribute } of this.#nodes) {
      const before = Math.max(0, ...input.map((name) => reached.get(name) ?? 0));
      if (input.some((name) => (stageOf.get(name) ?? 0) > before)) return undefined;
      const isAwaiting = opType === ('AwaitWeights' satisfies OwnOperatorName);
      const stage = isAwaiting ? Number(attribute.find(({ name }) => name === 'stage')?.i) : before;
      if (stage > before + 1) {
        throw new Error(
          `${this.name}: expected what waits for the weights of stage ${stage} to come from stage ${stage - 1}, got stage ${before}`,
        );
      }
      for (const name of output) reached.set(name, Math.max(before, stage));
    }
    return needed;
  }

  /** An int8 tensor `T` has a float32 scale for every row of its first axis, stored as `T.scale`. */
  #scales(name: string, count: number, as: readonly number[], rows?: Rows): Value {
    const scaleName = `${name}.scale`;
    return this.#external(scaleName, expectTensor(this.weights, scaleName, [count], ['F32']), as, rows);
  }

  /** Multiplied in float32, so that a weight is rounded once. */
  #scaled(value: Value, scales: Value, type: ComputeType): Value {
    return this.cast(this.op('Mul', [this.cast(value, 'int8', 'float32'), scales]), 'float32', type);
  }

  #external(tensor: string, stored: StoredTensor, dims: readonly number[], rows?: Rows): Value {
    const rowBytes = stored.length / (stored.shape[0] as number);
    const { from, to } = rows ?? { from: 0, to: stored.shape[0] as number };
    const name = rows ? `${tensor}[${from}:${to}]` : tensor;
    if (!this.#initializers.has(name)) this.#externals++;
    this.#initializers.set(name, {
      name,
      dims,
      dataType: ElementType[storedType(stored.dtype)],
      dataLocation: EXTERNAL,
      externalData: [
        { key: 'location', value: fileNameOf(stored) },
        { key: 'offset', value: String(stored.offset + from * rowBytes) },
        { key: 'length', value: String((to - from) * rowBytes) },
      ],
    });
    return { name };
  }

  /** Constants of the same contents are one. */
  #constant(type: ElementType, dims: readonly number[], rawData: Uint8Array): Value {
    const contents = `${type} [${dims.join(', ')}] ${Buffer.from(rawData).toString('base64')}`;
    const known = this.#constants.get(contents);
    if (known) return known;
    const value = { name: `constant_${this.#constants.size}` };
    this.#constants.set(contents, value);
    this.#initializers.set(value.name, { name: value.name, dims, dataType: ElementType[type], rawData });
    return value;
  }
}

/** A weight is added to the initializers where it is first used: their order is that of use. */
function weightsOf(initializers: readonly TensorProto[], folder: string): GraphWeight[] {
  return initializers.flatMap(({ name, dims, dataType, externalData }) => {
    if (!externalData?.length) return [];
    const { location, offset, length } = Object.fromEntries(
      externalData.map(({ key, value }) => [key, value]),
    );
    if (location === undefined) throw new Error(`expected a location of the weight ${name}`);
    return [
      {
        name,
        file: join(folder, location),
        dtype: dtypeOf(dataType),
        shape: dims,
        offset: Number(offset),
        length: Number(length),
      },
    ];
  });
}

function encodeFloats(values: readonly number[], type: ComputeType): Uint8Array {
  if (type === 'float32') return new Uint8Array(Float32Array.from(values).buffer);
  const encode = type === 'bfloat16' ? bfloat16Bits : float16Bits;
  return new Uint8Array(Uint16Array.from(values, encode).buffer);
}

function attribute(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'string')
    return { name, type: AttributeType.string, s: new TextEncoder().encode(value) };
  if (typeof value === 'number') return { name, type: AttributeType.int, i: value };
  if ('float' in value) return { name, type: AttributeType.float, f: value.float };
  return { name, type: AttributeType.ints, ints: value };
}

function valueInfo(name: string, type: ElementType, dims: readonly (number | string)[]): ValueInfoProto {
  const dim = dims.map((side) => (typeof side === 'number' ? { dimValue: side } : { dimParam: side }));
  return { name, type: { tensorType: { elemType: ElementType[type], shape: { dim } } } };
}

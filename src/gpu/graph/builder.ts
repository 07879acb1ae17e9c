import type { Dtype, StoredTensor } from '../checkpoint/safetensors.js';
import { expectTensor, fileNameOf, type Weights } from '../checkpoint/weights.js';
import {
  type AttributeProto,
  AttributeType,
  ElementType,
  EXTERNAL,
  encodeModel,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './onnx.js';

/** ONNX operators of opset 21; ONNX Runtime's fused ones are in `MICROSOFT`. */
const OPSET = 21;
const IR_VERSION = 10;
export const MICROSOFT = 'com.microsoft';

/** A tensor inside the graph. */
export interface Value {
  readonly name: string;
}

/** Integers become ints, other numbers floats: write `float(1)` for a float attribute that may be whole. */
export type Attribute = number | string | readonly number[] | { readonly float: number };

export interface OperatorOptions {
  readonly domain?: string;
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

const STORED_TYPE: Partial<Record<Dtype, ElementType>> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I8: 'int8',
};

/**
 * Builds one ONNX graph that computes in float32. Its weights are external data: they point into the
 * checkpoint's own safetensors files and are cast where they are stored smaller.
 */
export class GraphBuilder {
  readonly #nodes: NodeProto[] = [];
  readonly #initializers = new Map<string, TensorProto>();
  readonly #constants = new Map<string, Value>();
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  #values = 0;

  constructor(
    private readonly name: string,
    private readonly weights: Weights,
  ) {}

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
      output: outputs.map((value) => value.name),
      attribute: Object.entries(options.attributes ?? {}).map(([key, value]) => attribute(key, value)),
    });
    return outputs;
  }

  /** A small constant that stands in the graph itself. */
  floats(values: readonly number[], dims: readonly number[] = [values.length]): Value {
    return this.#constant('float32', dims, new Uint8Array(Float32Array.from(values).buffer));
  }

  /** A constant of 64-bit integers: shapes, axes, indices. */
  integers(values: readonly number[], dims: readonly number[] = [values.length]): Value {
    return this.#constant('int64', dims, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  /**
   * A weight as float32.
   * @param shape what the component's config says it must be
   * @param as    the shape to see it in, where an operator wants other dimensions over the same elements
   * @throws CheckpointInvalid where it is missing or does not fit
   */
  weight(name: string, shape: readonly number[], as: readonly number[] = shape): Value {
    const stored = expectTensor(this.weights, name, shape, ['F32', 'F16', 'BF16', 'I8']);
    const value = this.#asFloat(this.#external(name, stored, as), stored.dtype);
    if (stored.dtype !== 'I8') return value;
    const rows = shape[0] as number;
    return this.op('Mul', [value, this.#scales(name, rows, [rows, ...as.slice(1).map(() => 1)])]);
  }

  /**
   * Rows of a table, chosen before they are cast: an embedding table is never widened as a whole.
   * @param indices int64 of any shape
   */
  rows(name: string, shape: readonly [number, number], indices: Value): Value {
    const stored = expectTensor(this.weights, name, shape, ['F32', 'F16', 'BF16', 'I8']);
    const chosen = this.op('Gather', [this.#external(name, stored, shape), indices]);
    const value = this.#asFloat(chosen, stored.dtype);
    if (stored.dtype !== 'I8') return value;
    return this.op('Mul', [value, this.op('Gather', [this.#scales(name, shape[0], [shape[0], 1]), indices])]);
  }

  /** @returns the graph as ONNX protobuf */
  finish(): Uint8Array {
    return encodeModel({
      irVersion: IR_VERSION,
      producerName: 'temporal-diffusion',
      opsetImport: [
        { domain: '', version: OPSET },
        { domain: MICROSOFT, version: 1 },
      ],
      graph: {
        name: this.name,
        node: this.#nodes,
        initializer: [...this.#initializers.values()],
        input: this.#inputs,
        output: this.#outputs,
      },
    });
  }

  /** An int8 tensor `T` has a float32 scale for every row of its first axis, stored as `T.scale`. */
  #scales(name: string, rows: number, as: readonly number[]): Value {
    const scaleName = `${name}.scale`;
    return this.#external(scaleName, expectTensor(this.weights, scaleName, [rows], ['F32']), as);
  }

  #asFloat(value: Value, dtype: Dtype): Value {
    if (dtype === 'F32') return value;
    return this.op('Cast', [value], { attributes: { to: ElementType.float32 } });
  }

  #external(name: string, stored: StoredTensor, dims: readonly number[]): Value {
    this.#initializers.set(name, {
      name,
      dims,
      dataType: ElementType[STORED_TYPE[stored.dtype] as ElementType],
      dataLocation: EXTERNAL,
      externalData: [
        { key: 'location', value: fileNameOf(stored) },
        { key: 'offset', value: String(stored.offset) },
        { key: 'length', value: String(stored.length) },
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

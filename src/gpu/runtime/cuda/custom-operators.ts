import koffi from 'koffi';
import type { ComputeType } from '../../graph/builder.js';
import { ElementType } from '../../graph/element-type.js';
import {
  type OperatorInput,
  OWN_OPERATORS,
  OWN_VERSION,
  type OwnOperatorName,
  typeOfInput,
} from '../../graph/own-operators.js';
import { addressOf, bytesAt, loadLibrary, type Pointer } from './native.js';
import type { OrtFunctions, Status } from './ort-functions.js';
import type { OwnKernels } from './own-kernels.js';

/*
 * ONNX Runtime's `OrtCustomOp`, which tells it of an operator that is not its own: a table of functions, here ours.
 * They are called on the thread that makes the runs, in the midst of them; when a session is made, from other threads,
 * and then through this thread's event loop.
 */

/** Of the header that has the members below. */
const VERSION = 22;
/** `OrtErrorCode`: ORT_FAIL. */
const FAIL = 1;
/** `OrtCustomOpInputOutputCharacteristic`. */
const REQUIRED = 0;
const OPTIONAL = 1;

/** A member's place behind `version`, and its prototype. Those that are not here are left out of the table. */
const MEMBERS = {
  GetName: [1, 'void *', 'void *'],
  GetExecutionProviderType: [2, 'void *', 'void *'],
  GetInputType: [3, 'int', 'void *', 'size_t'],
  GetInputTypeCount: [4, 'size_t', 'void *'],
  GetOutputType: [5, 'int', 'void *', 'size_t'],
  GetOutputTypeCount: [6, 'size_t', 'void *'],
  GetInputCharacteristic: [9, 'int', 'void *', 'size_t'],
  GetOutputCharacteristic: [10, 'int', 'void *', 'size_t'],
  GetInputMemoryType: [11, 'int', 'void *', 'size_t'],
  GetVariadicInputMinArity: [12, 'int', 'void *'],
  GetVariadicInputHomogeneity: [13, 'int', 'void *'],
  GetVariadicOutputMinArity: [14, 'int', 'void *'],
  GetVariadicOutputHomogeneity: [15, 'int', 'void *'],
  CreateKernelV2: [16, 'void *', 'void *', 'void *', 'void *', 'void *'],
  KernelComputeV2: [17, 'void *', 'void *', 'void *'],
  GetStartVersion: [19, 'int', 'void *'],
  GetEndVersion: [20, 'int', 'void *'],
} as const satisfies Record<string, readonly [place: number, result: string, ...string[]]>;
const KERNEL_DESTROY = 8;
const LAST_MEMBER = 24;
const POINTER_BYTES = 8;

type Member = keyof typeof MEMBERS;
type Callback = (...args: never[]) => number | bigint | null;

/** What is read of a node when its kernel is made. */
interface Node {
  readonly operator: OwnOperatorName;
  readonly heads: number;
  readonly epsilon: number;
}

/** Held for good: ONNX Runtime has addresses of them. */
const held: unknown[] = [];

/**
 * Makes an `OrtCustomOp` of every operator of ours, for `CustomOpDomain_Add`.
 * @param type what graphs compute in
 * @returns their addresses, good while the thread lives
 */
export function makeCustomOperators(
  functions: OrtFunctions,
  kernels: OwnKernels,
  type: ComputeType,
): Pointer[] {
  return new CustomOperators(functions, kernels, type).addresses;
}

class CustomOperators {
  readonly #operators = new Map<Pointer, OwnOperatorName>();
  readonly #names = new Map<OwnOperatorName, Pointer>();
  readonly #provider: Pointer;
  readonly #nodes = new Map<Pointer, Node>();
  readonly #malloc: (bytes: number) => Pointer;
  /** Where ONNX Runtime writes results: calls don't overlap. */
  readonly #out = new BigUint64Array(1);

  constructor(
    private readonly functions: OrtFunctions,
    private readonly kernels: OwnKernels,
    private readonly type: ComputeType,
  ) {
    const { provider } = kernels;
    this.#provider = provider === undefined ? 0n : text(provider);
    const libc = loadLibrary('libc.so.6');
    this.#malloc = libc.func('malloc', 'void *', ['size_t']);
    // A kernel is a byte of C's memory, so that it can go when this thread is gone.
    const free = libc.symbol('free') as Pointer;
    const members = this.#callbacks();
    for (const name of Object.keys(OWN_OPERATORS) as OwnOperatorName[]) {
      const table = Buffer.alloc((1 + LAST_MEMBER + 1) * POINTER_BYTES);
      held.push(table);
      table.writeUInt32LE(VERSION, 0);
      const set = (place: number, address: Pointer) =>
        table.writeBigUInt64LE(address, (1 + place) * POINTER_BYTES);
      for (const [place, address] of members) set(place, address);
      set(KERNEL_DESTROY, free);
      this.#names.set(name, text(name));
      this.#operators.set(addressOf(table), name);
    }
  }

  get addresses(): Pointer[] {
    return [...this.#operators.keys()];
  }

  #callbacks(): [place: number, address: Pointer][] {
    const input = (operator: Pointer, index: number | bigint): OperatorInput =>
      OWN_OPERATORS[this.#operator(operator)][Number(index)] as OperatorInput;
    const callbacks: Record<Member, Callback> = {
      GetName: (operator: Pointer) => this.#names.get(this.#operator(operator)) as Pointer,
      GetExecutionProviderType: () => this.#provider,
      GetInputType: (operator: Pointer, index: number) =>
        ElementType[typeOfInput(input(operator, index), this.type)],
      GetInputTypeCount: (operator: Pointer) => OWN_OPERATORS[this.#operator(operator)].length,
      GetOutputType: () => ElementType[this.type],
      GetOutputTypeCount: () => 1,
      GetInputCharacteristic: (operator: Pointer, index: number) =>
        input(operator, index).isOptional ? OPTIONAL : REQUIRED,
      GetOutputCharacteristic: () => REQUIRED,
      GetInputMemoryType: () => 0,
      GetVariadicInputMinArity: () => 1,
      GetVariadicInputHomogeneity: () => 1,
      GetVariadicOutputMinArity: () => 1,
      GetVariadicOutputHomogeneity: () => 1,
      CreateKernelV2: (operator: Pointer, _api: Pointer, info: Pointer, out: Pointer) =>
        this.#orStatus(() => this.#createKernel(this.#operator(operator), info, out)),
      KernelComputeV2: (kernel: Pointer, context: Pointer) =>
        this.#orStatus(() => this.#compute(this.#nodes.get(kernel) as Node, context)),
      GetStartVersion: () => OWN_VERSION,
      GetEndVersion: () => OWN_VERSION,
    };
    return (Object.keys(MEMBERS) as Member[]).map((name) => {
      const [place, result, ...args] = MEMBERS[name];
      const pointer = koffi.register(callbacks[name], koffi.pointer(koffi.proto(result, [...args])));
      held.push(pointer);
      return [place, koffi.address(pointer)];
    });
  }

  #operator(address: Pointer): OwnOperatorName {
    return this.#operators.get(address) as OwnOperatorName;
  }

  /** An error must not get into ONNX Runtime's frames. */
  #orStatus(work: () => void): Status {
    try {
      work();
      return null;
    } catch (error) {
      return this.functions.CreateStatus(FAIL, error instanceof Error ? error.message : String(error));
    }
  }

  #createKernel(operator: OwnOperatorName, info: Pointer, out: Pointer): void {
    const heads = new BigInt64Array(1);
    const epsilon = new Float32Array(1);
    if (operator === 'RotateHeads') {
      this.#check(this.functions.KernelInfoGetAttribute_int64(info, 'heads', heads));
      this.#check(this.functions.KernelInfoGetAttribute_float(info, 'epsilon', epsilon));
    }
    const kernel = this.#malloc(1);
    this.#nodes.set(kernel, { operator, heads: Number(heads[0]), epsilon: epsilon[0] as number });
    Buffer.from(bytesAt(out, POINTER_BYTES).buffer).writeBigUInt64LE(kernel);
  }

  #compute(node: Node, context: Pointer): void {
    const stream =
      this.kernels.provider === undefined
        ? 0n
        : this.#make((out) => this.functions.KernelContext_GetGPUComputeStream(context, out));
    switch (node.operator) {
      case 'RotateHeads':
        this.#rotateHeads(node, context, stream);
        break;
      case 'GatedProduct':
        this.#gatedProduct(context, stream);
        break;
    }
  }

  #rotateHeads({ heads, epsilon }: Node, context: Pointer, stream: Pointer): void {
    const parts = [this.#input(context, 0), this.#input(context, 4)];
    const scales = [this.#input(context, 1), this.#input(context, 5)];
    const dims = parts.map((part) => (part === 0n ? [0, 0, 0] : this.#dims(part, 3)));
    const [images = 0, , width = 0] = dims[0] as number[];
    const allTokens = dims.reduce((sum, [, tokens = 0]) => sum + tokens, 0);
    const cos = this.#address(this.#input(context, 2));
    const sin = this.#address(this.#input(context, 3));
    const out = this.#output(context, [images, allTokens, width]);
    let first = 0;
    for (const [index, part] of parts.entries()) {
      const tokens = dims[index]?.[1] ?? 0;
      if (images * tokens === 0) continue;
      this.kernels.rotateHeads({
        ...{ x: this.#address(part), scale: this.#address(scales[index] as Pointer), cos, sin, out },
        ...{ images, tokens, first, allTokens, heads, size: width / heads, epsilon, stream },
      });
      first += tokens;
    }
  }

  #gatedProduct(context: Pointer, stream: Pointer): void {
    const gate = this.#input(context, 0);
    const before = this.#input(context, 2);
    const [images = 0, tokens = 0, width = 0] = this.#dims(gate, 3);
    const beforeWidth = before === 0n ? 0 : (this.#dims(before, 3)[2] as number);
    const out = this.#output(context, [images, tokens, beforeWidth + width]);
    const rows = images * tokens;
    if (rows === 0) return;
    this.kernels.gatedProduct({
      ...{ before: before === 0n ? 0n : this.#address(before), gate: this.#address(gate) },
      ...{ value: this.#address(this.#input(context, 1)), out, rows, beforeWidth, width, stream },
    });
  }

  /** @returns 0 for an optional input that is left out */
  #input(context: Pointer, index: number): Pointer {
    const count = this.#make((out) => this.functions.KernelContext_GetInputCount(context, out));
    if (index >= count) return 0n;
    return this.#make((out) => this.functions.KernelContext_GetInput(context, index, out));
  }

  /** @returns where its elements are */
  #output(context: Pointer, dims: readonly number[]): Pointer {
    const shape = BigInt64Array.from(dims, BigInt);
    return this.#address(
      this.#make((out) => this.functions.KernelContext_GetOutput(context, 0, shape, dims.length, out)),
    );
  }

  #address(value: Pointer): Pointer {
    return this.#make((out) => this.functions.GetTensorMutableData(value, out));
  }

  #dims(value: Pointer, rank: number): number[] {
    const info = this.#make((out) => this.functions.GetTensorTypeAndShape(value, out));
    try {
      const dims = new BigInt64Array(rank);
      this.#check(this.functions.GetDimensions(info, dims, rank));
      return [...dims].map(Number);
    } finally {
      this.functions.ReleaseTensorTypeAndShapeInfo(info);
    }
  }

  #make(create: (out: BigUint64Array) => Status): Pointer {
    this.#check(create(this.#out));
    return this.#out[0] as Pointer;
  }

  #check(status: Status): void {
    if (status === null || status === 0n) return;
    const message = this.functions.GetErrorMessage(status);
    this.functions.ReleaseStatus(status);
    throw new Error(message);
  }
}

/** The address of a text that ends with a zero byte. */
function text(value: string): Pointer {
  const bytes = Buffer.from(`${value}\0`);
  held.push(bytes);
  return addressOf(bytes);
}

import koffi from 'koffi';
import type { ComputeType } from '../../graph/builder.js';
import { ElementType } from '../../graph/element-type.js';
import {
  type OperandType,
  OWN_OPERATORS,
  OWN_VERSION,
  type OwnOperator,
  type OwnOperatorName,
} from '../../graph/own-operators.js';
import { checkStatus, KernelContext } from './kernel-context.js';
import { addressOf, bytesAt, loadLibrary, type Pointer } from './native.js';
import type { OrtFunctions, Status } from './ort-functions.js';
import { type Attributes, COMPUTATIONS } from './own-computations.js';
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
  GetAliasMap: [23, 'size_t', 'void *', 'void *'],
  ReleaseAliasMap: [24, 'void', 'void *', 'void *'],
} as const satisfies Record<string, readonly [place: number, result: string, ...string[]]>;
const KERNEL_DESTROY = 8;
/** With `version`, up to the last one above. */
const TABLE_MEMBERS = 1 + 24 + 1;
const POINTER_BYTES = 8;

type Member = keyof typeof MEMBERS;
/** koffi's `size_t`. */
type Index = number | bigint;
type Callback = (...args: never[]) => number | bigint | null | undefined;

/** What is read of a node when its kernel is made. */
interface Node {
  readonly operator: OwnOperatorName;
  readonly attributes: Attributes;
}

/** Held for good: ONNX Runtime has addresses of them. */
const held: unknown[] = [];

/**
 * Makes an `OrtCustomOp` of every operator of ours, for `CustomOpDomain_Add`.
 * @returns their addresses. Their functions are good while the thread lives; the tables are for good, since ONNX Runtime
 *          looks there for how kernels are freed when it ends a session whose thread is gone
 */
export function makeCustomOperators(
  functions: OrtFunctions,
  { kernels, type, awaitWeights }: Computing,
): Pointer[] {
  return new CustomOperators(functions, { kernels, type, awaitWeights }).addresses;
}

interface Computing {
  readonly kernels: OwnKernels;
  /** What graphs compute in. */
  readonly type: ComputeType;
  /** See `StageWait`. */
  readonly awaitWeights: (stage: number) => void;
}

class CustomOperators {
  readonly #operators = new Map<Pointer, OwnOperatorName>();
  readonly #names = new Map<OwnOperatorName, Pointer>();
  readonly #provider: Pointer;
  readonly #nodes = new Map<Pointer, Node>();
  readonly #malloc: (bytes: number) => Pointer;
  readonly #calloc: (count: number, bytes: number) => Pointer;
  /** A list of one index. */
  readonly #zero = Buffer.alloc(Int32Array.BYTES_PER_ELEMENT);
  /** Where ONNX Runtime writes results: calls don't overlap. */
  readonly #out = new BigUint64Array(1);

  constructor(
    private readonly functions: OrtFunctions,
    private readonly computing: Computing,
  ) {
    const { provider } = computing.kernels;
    this.#provider = provider === undefined ? 0n : text(provider);
    const libc = loadLibrary('libc.so.6');
    this.#malloc = libc.func('malloc', 'void *', ['size_t']);
    this.#calloc = libc.func('calloc', 'void *', ['size_t', 'size_t']);
    // A kernel is a byte of C's memory, so that it can go when this thread is gone.
    const free = libc.symbol('free') as Pointer;
    held.push(this.#zero);
    const members = this.#callbacks();
    for (const name of Object.keys(OWN_OPERATORS) as OwnOperatorName[]) {
      const address = this.#calloc(TABLE_MEMBERS, POINTER_BYTES);
      const table = Buffer.from(bytesAt(address, TABLE_MEMBERS * POINTER_BYTES).buffer);
      table.writeUInt32LE(VERSION, 0);
      const set = (place: number, member: Pointer) =>
        table.writeBigUInt64LE(member, (1 + place) * POINTER_BYTES);
      for (const [member, callback] of members) {
        // What passes its input on has no memory of its own.
        if (/AliasMap/.test(member) && name !== 'AwaitWeights') continue;
        set(MEMBERS[member][0], callback);
      }
      set(KERNEL_DESTROY, free);
      this.#names.set(name, text(name));
      this.#operators.set(address, name);
    }
  }

  get addresses(): Pointer[] {
    return [...this.#operators.keys()];
  }

  #callbacks(): [member: Member, address: Pointer][] {
    const described = (operator: Pointer): OwnOperator => OWN_OPERATORS[this.#operator(operator)];
    const typeOf = (type: OperandType | undefined) =>
      ElementType[type === 'float32' ? 'float32' : this.computing.type];
    const callbacks: Record<Member, Callback> = {
      GetName: (operator: Pointer) => this.#names.get(this.#operator(operator)) as Pointer,
      GetExecutionProviderType: () => this.#provider,
      GetInputType: (operator: Pointer, index: Index) => typeOf(described(operator).inputs[Number(index)]),
      GetInputTypeCount: (operator: Pointer) => described(operator).inputs.length,
      GetOutputType: (operator: Pointer, index: Index) => typeOf(described(operator).outputs[Number(index)]),
      GetOutputTypeCount: (operator: Pointer) => described(operator).outputs.length,
      GetInputCharacteristic: (operator: Pointer, index: Index) => {
        const { inputs, optional = 0 } = described(operator);
        return Number(index) >= inputs.length - optional ? OPTIONAL : REQUIRED;
      },
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
      // Input 0 is output 0.
      GetAliasMap: (inputs: Pointer, outputs: Pointer) => {
        for (const list of [inputs, outputs]) {
          Buffer.from(bytesAt(list, POINTER_BYTES).buffer).writeBigUInt64LE(addressOf(this.#zero));
        }
        return 1;
      },
      ReleaseAliasMap: () => undefined,
    };
    return (Object.keys(MEMBERS) as Member[]).map((name) => {
      const [, result, ...args] = MEMBERS[name];
      const pointer = koffi.register(callbacks[name], koffi.pointer(koffi.proto(result, [...args])));
      held.push(pointer);
      return [name, koffi.address(pointer)];
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
    const { functions } = this;
    const described: OwnOperator = OWN_OPERATORS[operator];
    const attributes: Record<string, number> = {};
    for (const [name, kind] of Object.entries(described.attributes)) {
      if (kind === 'integer') {
        const value = new BigInt64Array(1);
        checkStatus(functions, functions.KernelInfoGetAttribute_int64(info, name, value));
        attributes[name] = Number(value[0]);
      } else {
        const value = new Float32Array(1);
        checkStatus(functions, functions.KernelInfoGetAttribute_float(info, name, value));
        attributes[name] = value[0] as number;
      }
    }
    const kernel = this.#malloc(1);
    this.#nodes.set(kernel, { operator, attributes });
    Buffer.from(bytesAt(out, POINTER_BYTES).buffer).writeBigUInt64LE(kernel);
  }

  #compute({ operator, attributes }: Node, address: Pointer): void {
    const { kernels, awaitWeights } = this.computing;
    const context = new KernelContext(this.functions, address, this.#out);
    const stream = kernels.provider === undefined ? 0n : context.stream;
    COMPUTATIONS[operator]({ context, attributes, kernels, stream, awaitWeights });
  }
}

/** The address of a text that ends with a zero byte. */
function text(value: string): Pointer {
  const bytes = Buffer.from(`${value}\0`);
  held.push(bytes);
  return addressOf(bytes);
}

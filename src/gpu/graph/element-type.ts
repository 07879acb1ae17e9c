import type { Dtype } from '../checkpoint/safetensors.js';

/** ONNX's numbers for the types of a tensor's elements (`TensorProto.DataType`). */
export const ElementType = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
} as const;
export type ElementType = keyof typeof ElementType;

const STORED_TYPES = { F32: 'float32', F16: 'float16', BF16: 'bfloat16', I8: 'int8' } as const;
type GraphDtype = keyof typeof STORED_TYPES;
/** The dtypes of safetensors that graphs take. */
export const GRAPH_DTYPES = Object.keys(STORED_TYPES) as GraphDtype[];

/** @throws TypeError for a type that no weight is stored in */
export function dtypeOf(dataType: number): Dtype {
  const dtype = GRAPH_DTYPES.find((known) => ElementType[STORED_TYPES[known]] === dataType);
  if (!dtype) throw new TypeError(`expected ${GRAPH_DTYPES.join(' or ')}, got ONNX's type ${dataType}`);
  return dtype;
}

/** @throws TypeError for a dtype that no graph takes */
export function storedType(dtype: Dtype): ElementType {
  if (!(dtype in STORED_TYPES)) throw new TypeError(`expected ${GRAPH_DTYPES.join(' or ')}, got ${dtype}`);
  return STORED_TYPES[dtype as GraphDtype];
}

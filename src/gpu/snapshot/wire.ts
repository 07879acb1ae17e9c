/*
 * Protocol Buffers on the wire, as far as editing CRIU's images takes: a message is a list of fields, and those that
 * are not understood are written back as they came.
 * https://protobuf.dev/programming-guides/encoding/
 */

/** One field of a message. `value` is a number for varints, bytes for everything else, tag excluded. */
export type Field =
  | { readonly number: number; readonly type: 0; readonly value: bigint }
  | { readonly number: number; readonly type: 1 | 2 | 5; readonly value: Uint8Array };

/** @throws Error where the bytes are no message */
export function decodeFields(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 63n)
        throw new Error('expected a protobuf message, got something else');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
  };
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw new Error('expected a protobuf message, got a part of one');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    const type = tag & 7;
    if (type === 0) fields.push({ number, type, value: varint() });
    else if (type === 1) fields.push({ number, type, value: take(8) });
    else if (type === 2) fields.push({ number, type, value: take(Number(varint())) });
    else if (type === 5) fields.push({ number, type, value: take(4) });
    else throw new Error(`expected a protobuf message, got wire type ${type}`);
  }
  return fields;
}

export function encodeFields(fields: readonly Field[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const field of fields) {
    parts.push(encodeVarint(BigInt((field.number << 3) | field.type)));
    if (field.type === 0) parts.push(encodeVarint(field.value));
    else {
      if (field.type === 2) parts.push(encodeVarint(BigInt(field.value.length)));
      parts.push(field.value);
    }
  }
  return Buffer.concat(parts);
}

function encodeVarint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, value); ; rest >>= 7n) {
    if (rest < 0x80n) {
      bytes.push(Number(rest));
      return Uint8Array.from(bytes);
    }
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}

/** The last varint of that number, as protobuf has it: a later one overrides. */
export function numberIn(fields: readonly Field[], number: number): bigint | undefined {
  const field = fields.findLast((candidate) => candidate.number === number);
  return field?.type === 0 ? field.value : undefined;
}

/** The same message with that varint. */
export function withNumber(fields: readonly Field[], number: number, value: bigint): Field[] {
  return [...fields.filter((field) => field.number !== number), { number, type: 0, value }];
}

/** A CRIU image: 8 bytes that say what it is, then messages, each after its length. */
export interface CriuImage {
  readonly magic: Uint8Array;
  readonly messages: readonly Uint8Array[];
}

const MAGIC_BYTES = 8;
/** First half of every image's magic but the inventory's. */
const COMMON_MAGIC = 0x54564319;

/** @throws Error where the bytes are no image, or cut off */
export function decodeImage(bytes: Buffer): CriuImage {
  if (bytes.length < MAGIC_BYTES || bytes.readUInt32LE(0) !== COMMON_MAGIC) {
    throw new Error('expected an image of CRIU, got something else');
  }
  const messages: Uint8Array[] = [];
  let at = MAGIC_BYTES;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) throw new Error('expected an image of CRIU, got a part of one');
    const length = bytes.readUInt32LE(at);
    if (at + 4 + length > bytes.length) throw new Error('expected an image of CRIU, got a part of one');
    messages.push(bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return { magic: bytes.subarray(0, MAGIC_BYTES), messages };
}

export function encodeImage({ magic, messages }: CriuImage): Buffer {
  const parts: Uint8Array[] = [magic];
  for (const message of messages) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(message.length);
    parts.push(length, message);
  }
  return Buffer.concat(parts);
}

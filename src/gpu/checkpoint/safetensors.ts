import { open } from 'node:fs/promises';
import { z } from 'zod';
import { CheckpointInvalid } from '../../contract/errors.js';

/** Bytes of one element. */
const ELEMENT_BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
export type Dtype = keyof typeof ELEMENT_BYTES;

/** Where one tensor lies. */
export interface StoredTensor {
  /** The file's path. */
  readonly file: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** First byte, counted from the beginning of the file. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

/** Same bound as the reference implementation: nobody has more tensors than fit in that. */
const MAX_HEADER_BYTES = 100_000_000;

const Entry = z.strictObject({
  dtype: z.enum(Object.keys(ELEMENT_BYTES) as [Dtype, ...Dtype[]]),
  shape: z.array(z.int().nonnegative()).max(16),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});

/**
 * Reads a safetensors file's header and checks all that it claims before anything else is read: a header is
 * untrusted input. Format: 8 bytes little-endian length, JSON, data without holes
 * (https://github.com/huggingface/safetensors#format).
 * @throws CheckpointInvalid naming the file, the tensor, what was expected and what came
 */
export async function readSafetensorsHeader(file: string): Promise<Map<string, StoredTensor>> {
  const { json, dataStart, fileBytes } = await readHeaderJson(file);
  const invalid = (message: string, cause?: unknown) =>
    new CheckpointInvalid(`${file}: ${message}`, { cause });

  const tensors = new Map<string, StoredTensor>();
  for (const [name, value] of Object.entries(json)) {
    if (name === '__metadata__') continue;
    const parsed = Entry.safeParse(value);
    if (!parsed.success) throw invalid(`tensor ${name}: ${z.prettifyError(parsed.error)}`, parsed.error);
    const { dtype, shape, data_offsets: range } = parsed.data;
    const [begin, end] = range;
    const needed = shape.reduce((product, side) => product * side, ELEMENT_BYTES[dtype]);
    if (end - begin !== needed) {
      throw invalid(
        `tensor ${name}: expected ${needed} bytes for ${dtype} [${shape.join(', ')}], got data_offsets [${begin}, ${end}]`,
      );
    }
    tensors.set(name, { file, dtype, shape, offset: dataStart + begin, length: needed });
  }

  let expected = dataStart;
  for (const [name, tensor] of [...tensors].sort(
    ([, a], [, b]) => a.offset - b.offset || a.length - b.length,
  )) {
    if (tensor.offset !== expected) {
      const what = tensor.offset < expected ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw invalid(
        `tensor ${name} ${what}: expected it at byte ${expected}, its header says ${tensor.offset}; the file is damaged, fetch it again`,
      );
    }
    expected += tensor.length;
  }
  if (expected !== fileBytes) {
    const last = [...tensors].find(([, tensor]) => tensor.offset + tensor.length > fileBytes)?.[0];
    throw invalid(
      `expected ${expected} bytes as its header says, the file has ${fileBytes}${last === undefined ? '' : ` [first tensor cut off: ${last}]`}; the file is damaged, fetch it again`,
    );
  }
  return tensors;
}

async function readHeaderJson(
  file: string,
): Promise<{ json: Record<string, unknown>; dataStart: number; fileBytes: number }> {
  const invalid = (message: string, cause?: unknown) =>
    new CheckpointInvalid(`${file}: not a safetensors file: ${message}`, { cause });
  const handle = await open(file, 'r').catch((cause: NodeJS.ErrnoException) => {
    throw new CheckpointInvalid(`${file}: expected a readable safetensors file, got ${cause.code}`, {
      cause,
    });
  });
  try {
    const { size: fileBytes } = await handle.stat();
    const prefix = Buffer.alloc(8);
    const { bytesRead } = await handle.read(prefix, 0, 8, 0);
    if (bytesRead < 8) throw invalid(`expected at least 8 bytes, got ${fileBytes}`);
    const headerBytes = prefix.readBigUInt64LE();
    if (headerBytes > BigInt(Math.min(MAX_HEADER_BYTES, fileBytes - 8))) {
      throw invalid(`its header claims ${headerBytes} bytes, the file has ${fileBytes}`);
    }
    const header = Buffer.alloc(Number(headerBytes));
    await handle.read(header, 0, header.length, 8);
    let json: unknown;
    try {
      json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(header));
    } catch (cause) {
      throw invalid('its header is not JSON in UTF-8', cause);
    }
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      throw invalid('its header is not a JSON object');
    }
    return { json: json as Record<string, unknown>, dataStart: 8 + header.length, fileBytes };
  } finally {
    await handle.close();
  }
}

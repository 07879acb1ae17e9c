import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

interface HeaderEntry {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}

/** Copies a checkpoint, its bfloat16 weights as float32: what CPU kernels take as it is stored. */
export async function widenCheckpoint(from: string, to: string): Promise<void> {
  await cp(from, to, { recursive: true });
  for (const name of await readdir(to, { recursive: true })) {
    if (name.endsWith('.safetensors')) await widenFile(join(to, name));
  }
}

async function widenFile(path: string): Promise<void> {
  const bytes = await readFile(path);
  const headerBytes = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<string, HeaderEntry>;
  const data = bytes.subarray(8 + headerBytes);
  const parts: Buffer[] = [];
  let end = 0;
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  for (const [, entry] of entries) {
    const stored = data.subarray(...entry.data_offsets);
    const part = entry.dtype === 'BF16' ? widened(stored) : stored;
    if (entry.dtype === 'BF16') entry.dtype = 'F32';
    entry.data_offsets = [end, end + part.length];
    parts.push(part);
    end += part.length;
  }
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  await writeFile(path, Buffer.concat([length, text, ...parts]));
}

/** A bfloat16 is the upper half of a float32. */
function widened(stored: Buffer): Buffer {
  const wide = Buffer.alloc(stored.length * 2);
  for (let at = 0; at < stored.length; at += 2) stored.copy(wide, 2 * at + 2, at, at + 2);
  return wide;
}

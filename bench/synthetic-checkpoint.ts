import { cp, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readSafetensorsHeader } from '../src/gpu/checkpoint/safetensors.js';
import { packageRoot } from '../src/package-root.js';

/** Attention heads of the bundled transformer, and of one with 20 times its weights: 1 GB of float16. */
const HEADS = { bundled: 6, wide: 27 } as const;
const HEAD_SIZE = 64;
const WEIGHTS = join('transformer', 'diffusion_pytorch_model.safetensors');
/** 2²⁰ float16 numbers, used over and over: what they are does not matter, only how many there are. */
const BLOCK = 1 << 20;

/**
 * Writes the bundled model with a wider transformer of random weights. It draws noise, at the speed of a model of
 * that size.
 * @returns bytes of its weights
 */
export async function makeSyntheticCheckpoint(folder: string): Promise<number> {
  const emoji = join(packageRoot(), 'models', 'emoji');
  await cp(emoji, folder, { recursive: true });
  await mkdir(join(folder, 'transformer'), { recursive: true });
  const configFile = join(folder, 'transformer', 'config.json');
  const config = JSON.parse(await readFile(configFile, 'utf8')) as { joint_attention_dim: number };
  await writeFile(configFile, JSON.stringify({ ...config, num_attention_heads: HEADS.wide }));

  const inner = HEADS.bundled * HEAD_SIZE;
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> = {};
  let bytes = 0;
  for (const [name, { shape }] of await readSafetensorsHeader(join(emoji, WEIGHTS))) {
    // The synthetic ones are not quantised.
    if (name.endsWith('.scale')) continue;
    const wide = shape.map((side, axis) => {
      const isText = name === 'context_embedder.weight' && axis === 1;
      return side % inner === 0 && !isText ? (side / HEADS.bundled) * HEADS.wide : side;
    });
    const length = wide.reduce((product, side) => product * side, 2);
    header[name] = { dtype: 'F16', shape: wide, data_offsets: [bytes, bytes + length] };
    bytes += length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  const random = randomBlock();
  const ones = Buffer.alloc(HEAD_SIZE * 2);
  for (let at = 0; at < ones.length; at += 2) ones.writeUInt16LE(0x3c00, at);
  const file = await open(join(folder, WEIGHTS), 'w');
  try {
    await file.writeFile(Buffer.concat([prefix, json]));
    for (const [name, { data_offsets: range }] of Object.entries(header)) {
      let left = range[1] - range[0];
      // Gains of norms are one; all else is random.
      if (/norm_(added_)?[qk]\.weight$/.test(name)) await file.writeFile(ones.subarray(0, left));
      else
        for (; left > 0; left -= random.length)
          await file.writeFile(random.subarray(0, Math.min(left, random.length)));
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return bytes;
}

/** Float16 of either sign between 2⁻⁸ and 2⁻⁵: about what a layer of this width has. */
function randomBlock(): Buffer {
  const block = Buffer.alloc(BLOCK * 2);
  let state = 1;
  for (let at = 0; at < block.length; at += 2) {
    // Numerical Recipes' linear congruential generator.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const exponent = 7 + ((state >>> 11) % 3);
    block.writeUInt16LE(((state >>> 31) << 15) | (exponent << 10) | ((state >>> 13) & 0x3ff), at);
  }
  return block;
}

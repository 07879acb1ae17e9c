import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { CheckpointInvalid } from '../../contract/errors.js';
import { fileExists } from './file-exists.js';
import { readJsonFile } from './json-file.js';
import { type Dtype, readSafetensorsHeader, type StoredTensor } from './safetensors.js';

const ShardIndex = z.object({ weight_map: z.record(z.string(), z.string().regex(/^[\w.-]+\.safetensors$/)) });

/** The tensors of one component, by name, wherever they are stored. */
export interface Weights {
  /** Where the files really lie, all of them directly in it. */
  readonly folder: string;
  readonly tensors: ReadonlyMap<string, StoredTensor>;
}

/**
 * Reads the headers of a component's weights: `STEM.safetensors`, or the shards that
 * `STEM.safetensors.index.json` names.
 * @throws CheckpointInvalid
 */
export async function readWeights(folder: string, stem: string): Promise<Weights> {
  const indexFile = join(folder, `${stem}.safetensors.index.json`);
  if (!(await fileExists(indexFile))) {
    const file = await followLinks(join(folder, `${stem}.safetensors`));
    return { folder: dirname(file), tensors: await readSafetensorsHeader(file) };
  }
  const { weight_map: shardOf } = await readJsonFile(indexFile, ShardIndex);
  const shards = new Map<string, Map<string, StoredTensor>>();
  const folders = new Set<string>();
  for (const shard of new Set(Object.values(shardOf))) {
    const file = await followLinks(join(folder, shard));
    folders.add(dirname(file));
    shards.set(shard, await readSafetensorsHeader(file));
  }
  const [realFolder, ...others] = folders;
  if (realFolder === undefined || others.length > 0) {
    throw new CheckpointInvalid(
      `${indexFile}: expected all shards in one folder, got ${[...folders].join(', ') || 'none'}`,
    );
  }
  const tensors = new Map<string, StoredTensor>();
  for (const [name, shard] of Object.entries(shardOf)) {
    const tensor = shards.get(shard)?.get(name);
    if (!tensor)
      throw new CheckpointInvalid(`${indexFile}: tensor ${name}: expected in ${shard}, it is not there`);
    tensors.set(name, tensor);
  }
  return { folder: realFolder, tensors };
}

/**
 * The tensor of that name, whose shape must be `shape`.
 * @throws CheckpointInvalid where it is missing, or has another shape or a dtype that is not supported
 */
export function expectTensor(
  weights: Weights,
  name: string,
  shape: readonly number[],
  dtypes: readonly Dtype[] = ['F32', 'F16', 'BF16'],
): StoredTensor {
  const tensor = weights.tensors.get(name);
  const expected = `${dtypes.join(' or ')} [${shape.join(', ')}]`;
  if (!tensor)
    throw new CheckpointInvalid(`${weights.folder}: tensor ${name}: expected ${expected}, it is missing`);
  const fits =
    tensor.shape.length === shape.length && tensor.shape.every((side, axis) => side === shape[axis]);
  if (!fits || !dtypes.includes(tensor.dtype)) {
    throw new CheckpointInvalid(
      `${tensor.file}: tensor ${name}: its config expects ${expected}, got ${tensor.dtype} [${tensor.shape.join(', ')}]`,
    );
  }
  return tensor;
}

/** The name of the file that a tensor lies in, relative to its component's folder. */
export function fileNameOf(tensor: StoredTensor): string {
  return basename(tensor.file);
}

/** Model hubs keep files behind symbolic links, and ONNX Runtime refuses links that lead out of a folder. */
function followLinks(file: string): Promise<string> {
  return realpath(file).catch((cause: NodeJS.ErrnoException) => {
    throw new CheckpointInvalid(`${file}: expected a safetensors file, got ${cause.code}`, { cause });
  });
}

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { z } from 'zod';
import { CheckpointInvalid } from '../../contract/errors.js';
import { writeAtomically } from '../../storage/atomic-write.js';
import { fileDigests } from './file-digests.js';
import { fileStamp } from './file-stamps.js';

const HEX_DIGEST = /^[0-9a-f]{64}$/;
const Remembered = z.record(z.string(), z.string().regex(HEX_DIGEST));

/** What of a checkpoint decides its pictures; a README or a preview beside it does not. */
const COUNTS = /\.(json|safetensors|jinja|txt|model)$/;

/**
 * SHA-256 over the names and contents of a checkpoint's files: what "the same model" means.
 *
 * Reading 18 GB takes seconds, so each file's digest is remembered in `cacheFolder` under its path, size, inode
 * and modification time.
 * @throws CheckpointInvalid when the folder can't be read
 */
export async function checkpointDigest(folder: string, cacheFolder: string): Promise<string> {
  const files = (await listFiles(folder)).filter((file) => COUNTS.test(file)).sort();
  const memoryFile = join(cacheFolder, 'file-digests.json');
  const remembered = await readRemembered(memoryFile);
  const keys = await Promise.all(
    files.map(async (file) => {
      const { stamp, size } = await fileStamp(file);
      return { file, key: `${file}:${stamp}`, size };
    }),
  );
  const unknown = keys.filter(({ key }) => remembered[key] === undefined);
  const learned = await fileDigests(unknown);
  for (const { file, key } of unknown) remembered[key] = learned.get(file) as string;
  const digest = createHash('sha256');
  for (const { file, key } of keys) {
    digest.update(`${relative(folder, file).split(sep).join('/')}\n${remembered[key]}\n`);
  }
  if (unknown.length > 0) await remember(memoryFile, remembered);
  return digest.digest('hex');
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
    throw new CheckpointInvalid(`${folder}: expected a readable checkpoint folder, got ${cause.code}`, {
      cause,
    });
  });
  const nested = entries.map((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? listFiles(path) : [path];
  });
  return (await Promise.all(nested)).flat();
}

/** A memory that can't be read is an empty one: it only saves time. */
async function readRemembered(memoryFile: string): Promise<Record<string, string>> {
  try {
    return Remembered.parse(JSON.parse(await readFile(memoryFile, 'utf8')));
  } catch {
    return {};
  }
}

async function remember(memoryFile: string, digests: Record<string, string>): Promise<void> {
  try {
    await mkdir(dirname(memoryFile), { recursive: true });
    await writeAtomically(memoryFile, Buffer.from(JSON.stringify(digests)), { durable: false });
  } catch {
    // The next start reads the files once more: a cache that can't be written is no reason to fail.
  }
}

import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { startThread } from '../programs/start-thread.js';
import { fileDigest } from './file-digest.js';

interface SizedFile {
  readonly file: string;
  readonly size: bigint;
}

/** Starting a thread takes as long as reading so much. */
const WORTH_A_THREAD = 32n << 20n;

/**
 * SHA-256 of files, by their paths: large ones side by side on threads of their own, since one core digests about 1 GB/s.
 * @throws what reading a file failed with
 */
export async function fileDigests(files: readonly SizedFile[]): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  const large = files.filter(({ size }) => size >= WORTH_A_THREAD).sort((a, b) => Number(b.size - a.size));
  const threads = Math.min(large.length, availableParallelism());
  const work = async () => {
    const worker = startThread('digest-worker');
    try {
      for (let next = large.shift(); next; next = large.shift()) {
        worker.postMessage(next.file);
        const [digest] = (await once(worker, 'message')) as [string];
        digests.set(next.file, digest);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: threads }, work));
  for (const { file, size } of files) {
    if (size < WORTH_A_THREAD) digests.set(file, await fileDigest(file));
  }
  return digests;
}

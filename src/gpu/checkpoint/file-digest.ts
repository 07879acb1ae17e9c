import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

const CHUNK_BYTES = 1 << 20;

/**
 * SHA-256 of a file's contents, in hexadecimal. Nothing of them is left in memory: an engine that digests its weights
 * may be captured, and a stream's many buffers would be in its image, freed and unreadable but whole.
 */
export async function fileDigest(file: string): Promise<string> {
  const hash = createHash('sha256');
  const handle = await open(file);
  const chunk = Buffer.alloc(CHUNK_BYTES);
  try {
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES, null);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(chunk.subarray(0, bytesRead));
    }
  } finally {
    chunk.fill(0);
    await handle.close();
  }
}

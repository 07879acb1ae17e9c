import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { contentType } from '../activities/encode.js';
import { StorageRefused } from '../contract/errors.js';
import type { GenerateResult, PublishedImage } from '../contract/job.js';
import type { BlobStore } from '../storage/blob-store.js';
import { openStoreOf } from '../storage/open-store.js';

/** Copies pictures from where the workers keep them. @returns the result with their new addresses */
export async function collectPictures(result: GenerateResult, store: BlobStore): Promise<GenerateResult> {
  const images = await Promise.all(
    result.images.map(async (image) => {
      const bytes = await fetchPicture(image);
      const name = basename(new URL(image.url).pathname);
      return {
        ...image,
        url: await store.put(decodeURIComponent(name), bytes, { contentType: contentType(image.format) }),
      };
    }),
  );
  return { ...result, images };
}

async function fetchPicture({ url, sha256 }: PublishedImage): Promise<Buffer> {
  const bytes = await openStoreOf(url).get(url);
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found === sha256) return bytes;
  throw new StorageRefused(
    `expected the picture of this job at ${url}, found other bytes [expected=${sha256}, got=${found}]`,
  );
}

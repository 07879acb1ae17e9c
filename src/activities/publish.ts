import { createHash } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { Logger } from 'pino';
import { z } from 'zod';
import { StorageUnavailable } from '../contract/errors.js';
import { PixelClaim, type Provenance, type PublishedImage, PublishInput } from '../contract/job.js';
import { parse } from '../contract/parse.js';
import { packageVersion } from '../package-root.js';
import type { BlobStore } from '../storage/blob-store.js';
import { blobKey, readableName } from '../storage/picture-names.js';
import { contentType, encodePicture } from './encode.js';
import { activity } from './failure.js';
import { withHeartbeats } from './heartbeats.js';
import { tenths } from './milliseconds.js';
import { writeProvenance } from './provenance.js';
import type { Staging } from './staging.js';

export interface PublishDependencies {
  readonly store: BlobStore;
  readonly staging: Staging;
  readonly log: Logger;
}

/** Turns staged pixels into pictures that are stored for good. */
export function createPublishActivities({ store, staging, log }: PublishDependencies) {
  const software = `temporal-diffusion ${packageVersion()}`;
  return {
    /** Encodes staged pixels and stores them once. Idempotent: the key is the content's digest. */
    publish: activity((input: PublishInput): Promise<PublishedImage> => {
      const { claim, output, origin } = parse(PublishInput, input);
      return withHeartbeats(async () => {
        const signal = Context.current().cancellationSignal;
        const { format } = output;
        const { index, seed, width, height, modelDigest, device } = claim;
        const provenance: Provenance = {
          software,
          ...origin,
          modelDigest,
          width,
          height,
          seed,
          device,
          pixelsSha256: claim.sha256,
        };

        const begun = performance.now();
        const data = await staging.get(claim);
        const file = await encodePicture({ data, width, height }, output, writeProvenance(provenance));
        const encoded = performance.now();
        // The last moment at which a cancelled job leaves nothing behind.
        signal.throwIfAborted();
        const sha256 = createHash('sha256').update(file).digest('hex');
        const picture = { prompt: origin.prompt, seed, sha256, format };
        const blobUrl = await store.put(blobKey(picture), file, { contentType: contentType(format) });
        const url = await store.alias(blobKey(picture), readableName(picture), {
          contentType: contentType(format),
        });
        await verify(store, blobUrl, sha256);
        const storeMs = performance.now() - encoded;

        // Last, so that an attempt that fails before leaves the next one its pixels.
        await staging.discard(claim.id);
        log.info({ index, seed, url, bytes: file.length }, 'image published');
        return {
          index,
          seed,
          url,
          blobUrl,
          sha256,
          pixelsSha256: claim.sha256,
          bytes: file.length,
          format,
          width,
          height,
          device,
          stages: { ...claim.stages, encodeMs: tenths(encoded - begun), storeMs: tenths(storeMs) },
        };
      });
    }),

    /** Forgets staged pixels that nobody will publish. */
    discard: activity(async (input: PixelClaim[]): Promise<void> => {
      const claims = parse(z.array(PixelClaim), input);
      await Promise.all(claims.map(({ id }) => staging.discard(id)));
    }),
  };
}
export type PublishActivities = ReturnType<typeof createPublishActivities>;

/** Reads the stored picture back: the job's word that it exists must not rest on a store's promise alone. */
async function verify(store: BlobStore, url: string, sha256: string): Promise<void> {
  const stored = createHash('sha256')
    .update(await store.get(url))
    .digest('hex');
  if (stored !== sha256) {
    throw new StorageUnavailable(
      `stored a picture, but read back another one [url=${url}, expected=${sha256}, got=${stored}]`,
    );
  }
}

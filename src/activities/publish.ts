import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { z } from 'zod';
import { type BatchImage, type PictureOutcome, PublishManyInput } from '../contract/batch.js';
import { RenderError, StorageUnavailable } from '../contract/errors.js';
import { PixelClaim, type Provenance, type PublishedImage, PublishInput } from '../contract/job.js';
import { parse } from '../contract/parse.js';
import { packageVersion } from '../package-root.js';
import type { BlobStore } from '../storage/blob-store.js';
import { blobKey, readableName } from '../storage/picture-names.js';
import { activityLog } from './activity-log.js';
import { recordedAttempt } from './attempt-record.js';
import { contentType, encodePicture, qualityOf } from './encode.js';
import { activity } from './failure.js';
import { tenths } from './milliseconds.js';
import { writeProvenance } from './provenance.js';
import type { Staging } from './staging.js';

export interface PublishDependencies {
  readonly store: BlobStore;
  readonly staging: Staging;
  /** Told of each picture at the end of its storing, in its activity's context. It must not throw. */
  readonly onPublished?: (picture: PublishedPicture) => void;
  readonly log: Logger;
}

export type PublishedPicture = Pick<PublishedImage, 'index' | 'format' | 'bytes'> &
  Pick<PublishedImage['stages'], 'encodeMs' | 'storeMs'>;

/** Turns staged pixels into pictures that are stored for good. */
export function createPublishActivities({ store, staging, onPublished, log }: PublishDependencies) {
  const software = `temporal-diffusion ${packageVersion()}`;

  /** Encodes pixels and stores them. The same pixels and origin give the same file, and so the same keys. */
  async function storePicture(
    data: Uint8Array,
    { claim, output, origin }: PublishInput,
    throwIfOver: () => void,
  ): Promise<PublishedImage> {
    const { format } = output;
    const quality = qualityOf(output);
    const { index, seed, width, height, modelDigest, device, drawnBy } = claim;
    const provenance: Provenance = {
      software,
      ...origin,
      modelDigest,
      width,
      height,
      seed,
      device,
      ...(drawnBy && {
        ...(drawnBy.engine.deviceName !== undefined && { deviceName: drawnBy.engine.deviceName }),
        graphDigest: drawnBy.graphDigest,
        versions: drawnBy.versions,
        together: drawnBy.together,
        ...(drawnBy.inTiles && { inTiles: drawnBy.inTiles }),
      }),
      ...(quality !== undefined && { quality }),
      pixelsSha256: claim.sha256,
    };

    const begun = performance.now();
    const file = await encodePicture({ data, width, height }, output, writeProvenance(provenance));
    const encoded = performance.now();
    // The last moment at which a cancelled job leaves nothing behind.
    throwIfOver();
    const sha256 = createHash('sha256').update(file).digest('hex');
    const picture = { prompt: origin.prompt, seed, sha256, format };
    const blobUrl = await store.put(blobKey(picture), file, { contentType: contentType(format) });
    const url = await store.alias(blobKey(picture), readableName(picture), {
      contentType: contentType(format),
    });
    await verify(store, blobUrl, sha256);
    const storeMs = performance.now() - encoded;
    const stages = { ...claim.stages, encodeMs: tenths(encoded - begun), storeMs: tenths(storeMs) };
    onPublished?.({ index, format, bytes: file.length, ...stages });
    activityLog(log).info({ index, seed, url, bytes: file.length }, 'image published');
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
      stages,
    };
  }

  return {
    /** Encodes staged pixels and stores them once. Idempotent: the key is the content's digest. */
    publish: activity((input: PublishInput): Promise<PublishedImage> => {
      const parsed = parse(PublishInput, input);
      return recordedAttempt(undefined, async ({ throwIfOver }) => {
        const image = await storePicture(await staging.get(parsed.claim), parsed, throwIfOver);
        // Last, so that an attempt that fails before leaves the next one its pixels.
        await staging.discard(parsed.claim.id);
        return image;
      });
    }),

    /**
     * The same for what was drawn together. One picture that can't be stored, or whose pixels are lost, does not fail
     * the others; where trying again may help, all are tried again: those that are stored are found to be there.
     */
    publishMany: activity((input: PublishManyInput): Promise<PictureOutcome[]> => {
      const { claims, pictures, origin } = parse(PublishManyInput, input);
      return recordedAttempt(undefined, async ({ throwIfOver }) => {
        const outcomes = await Promise.all(
          claims.map(async ({ prompt, ...claim }, place) => {
            const own = pictures.filter(({ claim }) => claim === place);
            const pixels = await staging.get(claim).catch((error: unknown) => error);
            return Promise.all(
              own.map(async ({ index, output, tags }): Promise<PictureOutcome> => {
                try {
                  if (!(pixels instanceof Uint8Array)) throw pixels;
                  const parts = { claim, output, origin: { ...origin, prompt, tags } };
                  return { index, image: shortened(await storePicture(pixels, parts, throwIfOver)) };
                } catch (error) {
                  if (!(error instanceof RenderError) || error.retry) throw error;
                  return { index, error: { type: error.type, message: error.message } };
                }
              }),
            );
          }),
        );
        await Promise.all(claims.map(({ id }) => staging.discard(id)));
        return outcomes.flat();
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

function shortened({ seed, url, sha256, pixelsSha256, bytes, width, height }: PublishedImage): BatchImage {
  return { seed, url, sha256, pixelsSha256, bytes, width, height };
}

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

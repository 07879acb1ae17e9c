import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CopyObjectCommandInput, PutObjectCommandInput } from '@aws-sdk/client-s3';
import { RenderError, StorageUnavailable } from '../contract/errors.js';
import type { BlobStore } from './blob-store.js';
import { checkKey, checkS3Location, formatS3Address, keyBelow, type S3Location } from './s3-address.js';
import { openS3Client, type S3Credentials } from './s3-client.js';
import { isNotFound, isPreconditionFailed, mayPass, s3Error } from './s3-error.js';

/** Where a store in S3 is, and who may use it. */
export interface S3StoreOptions extends S3Location {
  /** Keys, or a function that gets them. Default: what the AWS SDK finds: environment, profile, role of the machine. */
  readonly credentials?: S3Credentials;
  readonly limits?: Partial<S3Limits>;
}

/** How long the store bears with its server before it throws `StorageUnavailable`. */
export interface S3Limits {
  /** How often a request is sent. Default: 5. */
  readonly attempts: number;
  /** Longest pause before the second attempt, in milliseconds; it doubles with each further one. Default: 200. */
  readonly backOffMs: number;
  /** Milliseconds within which a connection must stand. Default: 5,000. */
  readonly connectMs: number;
  /** Milliseconds that a connection may be silent in mid-request. Default: 10,000. */
  readonly idleMs: number;
  /** Milliseconds that one attempt may take, however alive it seems. Default: 60,000. */
  readonly attemptMs: number;
}

const defaultLimits: S3Limits = {
  attempts: 5,
  backOffMs: 200,
  connectMs: 5_000,
  idleMs: 10_000,
  attemptMs: 60_000,
};
const MAX_BACK_OFF_MS = 5_000;

/** How often a key may turn out to hold something else, or nothing again, before others are told to leave it alone. */
const MAX_ROUNDS = 5;

/** S3 signs no longer than a week. */
const MAX_DOWNLOAD_SECONDS = 7 * 24 * 60 * 60;

/** Our own note of a blob's SHA-256, in hex. It outlives copies, and servers that keep no checksums keep it. */
const DIGEST = 'sha256';

/** What `check` keeps. It stays: so the store never needs the right to delete. */
const PROBE = '.probe';
const PROBE_TEXT = 'temporal-diffusion keeps pictures here\n';

/** What a key must hold for a write to be carried out. */
type Condition = Pick<PutObjectCommandInput & CopyObjectCommandInput, 'IfNoneMatch' | 'IfMatch'>;

const ABSENT: Condition = { IfNoneMatch: '*' };

interface StoredObject {
  readonly bytes: Buffer;
  readonly etag: string | undefined;
}

/** A bucket, or the part of one below a prefix, as a store: keys are object keys, a second name is a server-side copy. */
export function createS3Store({ credentials, limits, ...options }: S3StoreOptions): BlobStore {
  const location = checkS3Location(options);
  const { bucket, prefix } = location;
  const { attempts, backOffMs, connectMs, idleMs, attemptMs } = { ...defaultLimits, ...limits };

  const open = once(() => openS3Client({ location, credentials, connectMs, idleMs }));
  const objectKey = (key: string): string => (prefix === undefined ? key : `${prefix}/${key}`);

  /** Carries out one request, answer included, as often as it takes. */
  async function attempt<T>(
    action: string,
    key: string,
    work: (abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      const limit = AbortSignal.timeout(attemptMs);
      try {
        return await work(limit);
      } catch (thrown) {
        if (thrown instanceof RenderError) throw thrown;
        // The SDK says no more than that somebody aborted.
        const error = limit.aborted ? new Error(`no whole answer within ${attemptMs} ms`) : thrown;
        if (tries >= attempts || !mayPass(error)) {
          const address = formatS3Address(location, key);
          throw s3Error(error, { action, address, bucket, key: objectKey(key), attempts: tries });
        }
        // A random part of it: many workers that failed together must not come back together.
        await sleep(Math.random() * Math.min(MAX_BACK_OFF_MS, backOffMs * 2 ** (tries - 1)));
      }
    }
  }

  /** @returns whether the condition held, and so `bytes` are there */
  async function write(
    key: string,
    bytes: Uint8Array,
    contentType: string,
    condition: Condition,
  ): Promise<boolean> {
    const sha256 = createHash('sha256').update(bytes).digest();
    const { client, sdk } = await open();
    return attempt('write', key, async (abortSignal) => {
      const command = new sdk.PutObjectCommand({
        Bucket: bucket,
        Key: objectKey(key),
        Body: bytes,
        ContentType: contentType,
        // The server computes it too, and keeps nothing where it gets another one.
        ChecksumSHA256: sha256.toString('base64'),
        Metadata: { [DIGEST]: sha256.toString('hex') },
        ...condition,
      });
      return ifConditionHeld(client.send(command, { abortSignal }));
    });
  }

  /** @returns whether the condition held, and so the copy is there */
  async function copy(from: string, to: string, condition: Condition): Promise<boolean> {
    const { client, sdk } = await open();
    return attempt('copy', from, async (abortSignal) => {
      const command = new sdk.CopyObjectCommand({
        Bucket: bucket,
        Key: objectKey(to),
        CopySource: [bucket, ...objectKey(from).split('/')].map(encodeURIComponent).join('/'),
        ...condition,
      });
      return ifConditionHeld(client.send(command, { abortSignal }));
    });
  }

  /** @param checked whether what is not what the server has noted of it counts as a failure */
  async function fetchObject(key: string, checked: boolean, abortSignal: AbortSignal): Promise<StoredObject> {
    const { client, sdk } = await open();
    const command = new sdk.GetObjectCommand({
      Bucket: bucket,
      Key: objectKey(key),
      // With it the SDK compares the body with the server's checksum.
      ...(checked ? { ChecksumMode: 'ENABLED' } : {}),
    });
    const { Body, ETag, Metadata } = await client.send(command, { abortSignal });
    const array = (await Body?.transformToByteArray()) ?? new Uint8Array();
    const bytes = Buffer.from(array.buffer, array.byteOffset, array.byteLength);
    const digest = Metadata?.[DIGEST];
    if (checked && digest !== undefined) verify(bytes, digest);
    return { bytes, etag: ETag };
  }

  async function read(key: string): Promise<Buffer> {
    const { bytes } = await attempt('read', key, (abortSignal) => fetchObject(key, true, abortSignal));
    return bytes;
  }

  /** What is under a key, damaged or not. @returns undefined where there is no such object */
  function readIfThere(key: string): Promise<StoredObject | undefined> {
    return attempt('read', key, async (abortSignal) => {
      try {
        return await fetchObject(key, false, abortSignal);
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw error;
      }
    });
  }

  /**
   * Makes `key` hold `wanted`, and writes only where it does not yet. Every write has a condition, so whoever else
   * writes to the key at the same time is never overwritten unseen.
   */
  async function settle(
    key: string,
    writeIf: (condition: Condition) => Promise<boolean>,
    wanted: () => Promise<Uint8Array>,
  ): Promise<string> {
    let condition = ABSENT;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (await writeIf(condition)) return formatS3Address(location, key);
      const found = await readIfThere(key);
      // Compared by content, not by what the server has noted: a damaged blob keeps its note.
      if (found?.bytes.equals(await wanted())) return formatS3Address(location, key);
      condition = found?.etag === undefined ? ABSENT : { IfMatch: found.etag };
    }
    throw new StorageUnavailable(
      `can't write ${formatS3Address(location, key)} at the moment: others keep writing something else there ` +
        `[bucket=${bucket}, key=${objectKey(key)}, attempts=${MAX_ROUNDS}]`,
    );
  }

  const store: BlobStore = {
    url: formatS3Address(location),

    async put(key, bytes, { contentType }) {
      checkKey(key);
      return settle(
        key,
        (condition) => write(key, bytes, contentType, condition),
        async () => bytes,
      );
    },

    async alias(key, name) {
      checkKey(key);
      checkKey(name);
      return settle(
        name,
        (condition) => copy(key, name, condition),
        () => read(key),
      );
    },

    async get(address) {
      return read(keyBelow(location, address));
    },

    async getPart(address, start, length) {
      const key = keyBelow(location, address);
      const { client, sdk } = await open();
      return attempt('read', key, async (abortSignal) => {
        const Range = `bytes=${start}-${start + length - 1}`;
        const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: objectKey(key), Range });
        try {
          const { Body, ETag, ContentRange } = await client.send(command, { abortSignal });
          const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
          const size = Number(ContentRange?.split('/')[1] ?? start + bytes.length);
          return { bytes, size, version: ETag ?? '' };
        } catch (error) {
          // What S3 says of a range that begins at the end or beyond, as every range of an empty object does.
          if (!(error instanceof Error && error.name === 'InvalidRange')) throw error;
          const head = new sdk.HeadObjectCommand({ Bucket: bucket, Key: objectKey(key) });
          const { ContentLength, ETag } = await client.send(head, { abortSignal });
          return { bytes: Buffer.alloc(0), size: ContentLength ?? 0, version: ETag ?? '' };
        }
      });
    },

    async list(key) {
      checkKey(key);
      const { client, sdk } = await open();
      const Prefix = `${objectKey(key)}/`;
      const keys: string[] = [];
      let token: string | undefined;
      do {
        const page = await attempt('list', key, (abortSignal) => {
          const command = new sdk.ListObjectsV2Command({
            Bucket: bucket,
            Prefix,
            Delimiter: '/',
            ...(token !== undefined && { ContinuationToken: token }),
          });
          return client.send(command, { abortSignal });
        });
        for (const { Key } of page.Contents ?? []) {
          if (Key !== undefined && Key !== Prefix) keys.push(`${key}/${Key.slice(Prefix.length)}`);
        }
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
      return keys.sort();
    },

    async downloadUrl(address, { expiresInSeconds = 3600 } = {}) {
      const key = keyBelow(location, address);
      if (
        !(
          Number.isInteger(expiresInSeconds) &&
          expiresInSeconds >= 1 &&
          expiresInSeconds <= MAX_DOWNLOAD_SECONDS
        )
      ) {
        throw new TypeError(
          `Expected 1 to ${MAX_DOWNLOAD_SECONDS} seconds for expiresInSeconds but received ${expiresInSeconds}`,
        );
      }
      const { client, sdk } = await open();
      const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner');
      return attempt('sign a URL for', key, () => {
        const command = new sdk.GetObjectCommand({ Bucket: bucket, Key: objectKey(key) });
        return getSignedUrl(client, command, { expiresIn: expiresInSeconds });
      });
    },

    async check() {
      await store.put(PROBE, Buffer.from(PROBE_TEXT), { contentType: 'text/plain' });
      await store.get(PROBE);
    },
  };
  return store;
}

async function ifConditionHeld(sending: Promise<unknown>): Promise<boolean> {
  try {
    await sending;
    return true;
  } catch (error) {
    if (isPreconditionFailed(error)) return false;
    throw error;
  }
}

/** @throws Error that counts as a failed attempt: most damage happens on the way */
function verify(bytes: Buffer, expected: string): void {
  const got = createHash('sha256').update(bytes).digest('hex');
  if (got !== expected)
    throw new Error(`what arrived is not what was stored [expected=${expected}, got=${got}]`);
}

/** Makes something when it is first needed, and again only where that failed. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}

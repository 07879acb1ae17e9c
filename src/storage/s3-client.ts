import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { StorageRefused } from '../contract/errors.js';
import { formatS3Address, type S3Location } from './s3-address.js';

/** Keys as the AWS SDK has them, or a function that gets them. */
export type S3Credentials = NonNullable<S3ClientConfig['credentials']>;

export interface S3ClientOptions {
  readonly location: S3Location;
  readonly credentials: S3Credentials | undefined;
  readonly connectMs: number;
  readonly idleMs: number;
}

/** The parts of the AWS SDK that a store uses. */
export type S3Sdk = Pick<
  typeof import('@aws-sdk/client-s3'),
  'CopyObjectCommand' | 'GetObjectCommand' | 'HeadObjectCommand' | 'ListObjectsV2Command' | 'PutObjectCommand'
>;

/** Loads the SDK, which takes a tenth of a second that nobody should wait for who stores in a folder. */
export async function openS3Client({
  location,
  credentials,
  connectMs,
  idleMs,
}: S3ClientOptions): Promise<{ readonly client: S3Client; readonly sdk: S3Sdk }> {
  const { S3Client, ...sdk } = await import('@aws-sdk/client-s3');
  const { endpoint, pathStyle = endpoint !== undefined } = location;
  const region = location.region ?? (endpoint === undefined ? undefined : 'us-east-1');
  const client = new S3Client({
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
    ...(credentials === undefined ? {} : { credentials }),
    forcePathStyle: pathStyle,
    // Attempts are counted by the store: the SDK's own would not cover an answer that breaks off in its body.
    maxAttempts: 1,
    requestHandler: { connectionTimeout: connectMs, socketTimeout: idleMs },
    // Both are asked for by each request that wants them.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  try {
    await client.config.region();
  } catch (error) {
    throw new StorageRefused(
      `expected a region for ${formatS3Address(location)}, found none: add ?region=NAME to the address, or set AWS_REGION`,
      { cause: error },
    );
  }
  return { client, sdk };
}

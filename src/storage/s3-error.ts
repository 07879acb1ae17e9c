import { type RenderError, StorageRefused, StorageUnavailable } from '../contract/errors.js';
import { errorCode } from './file-error.js';

const CREDENTIALS =
  'the server does not accept these credentials: correct AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile';
const NO_CREDENTIALS =
  'the AWS SDK finds no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role';
const REGION = 'the bucket is in another region: name it with ?region= in the address';
const OBJECT = 'there is no such object';
const FULL = 'the store is full: free some space, the job waits for it a while';
const EXPIRED = 'the credentials have expired: renew them, the job waits for it a while';

/** Answers of a store that is the wrong one, or asked with the wrong credentials, by S3's name for them, with what to do. */
const lasting: Readonly<Record<string, string>> = {
  AuthorizationHeaderMalformed: REGION,
  EntityTooLarge: 'it is larger than the server allows',
  IllegalLocationConstraintException: REGION,
  InvalidAccessKeyId: CREDENTIALS,
  InvalidBucketName: 'that is no name for a bucket: correct the address',
  InvalidObjectState: 'the object is archived: restore it first',
  InvalidToken: CREDENTIALS,
  NoSuchBucket: 'there is no such bucket: create it, or correct bucket, region and endpoint in the address',
  NoSuchKey: OBJECT,
  NotFound: OBJECT,
  PermanentRedirect: REGION,
  SignatureDoesNotMatch: CREDENTIALS,
};

/** The same for servers that give a status only, or a name that is not listed. */
const lastingByStatus: Readonly<Record<number, string>> = {
  301: REGION,
  307: REGION,
  401: CREDENTIALS,
  403: 'these credentials may not do that there (or the object does not exist and they may not list the bucket): allow s3:PutObject and s3:GetObject below the prefix',
  404: OBJECT,
  501: 'this server lacks something that the store needs, such as conditional writes or SHA-256 checksums: choose another server',
};

/** Conditions that somebody has to end, but may end while the job waits: its pixels are kept and cost no GPU time. */
const waiting: Readonly<Record<string, string>> = {
  ExpiredToken: EXPIRED,
  QuotaExceeded: FULL,
  TokenRefreshRequired: EXPIRED,
  XMinioStorageFull: FULL,
};
const waitingByStatus: Readonly<Record<number, string>> = { 507: FULL };

/** Answers below 500 that speak of one attempt, not of the request: broken on its way, too slow, overtaken, a clock that was wrong. */
const passing = [
  'BadDigest',
  'ConditionalRequestConflict',
  'IncompleteBody',
  'OperationAborted',
  'PreconditionFailed',
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'SlowDown',
  'Throttling',
  'ThrottlingException',
  'TooManyRequests',
  'XAmzContentChecksumMismatch',
  'XAmzContentSHA256Mismatch',
];

/** What the SDK knows of a failed request. `status` is missing where there was no answer, or no whole one. */
interface Failure {
  readonly code: string;
  readonly status?: number;
  readonly requestId?: string;
}

export interface S3Attempt {
  /** What was tried, such as `write`. */
  readonly action: string;
  /** The object's address, or the store's. */
  readonly address: string;
  readonly bucket: string;
  readonly key?: string;
  /** How often. */
  readonly attempts: number;
}

/** Whether the server holds other content than the request's condition says. */
export function isPreconditionFailed(error: unknown): boolean {
  return failureOf(error).status === 412;
}

export function isNotFound(error: unknown): boolean {
  const { code, status } = failureOf(error);
  return status === 404 && code !== 'NoSuchBucket';
}

/** Whether the same request may succeed a moment later. */
export function mayPass(error: unknown): boolean {
  return verdictOf(error) === undefined;
}

/** Says what a failed request means for a job. */
export function s3Error(error: unknown, { action, address, bucket, key, attempts }: S3Attempt): RenderError {
  const { code, status, requestId } = failureOf(error);
  const facts = Object.entries({ bucket, key, code, status, request: requestId, attempts })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
  const options = { cause: harmless(error) };
  const { remedy, lasts } = verdictOf(error) ?? {
    remedy: `${describe(error)}; if this lasts, check that the server runs and that the endpoint is right`,
    lasts: false,
  };
  return lasts
    ? new StorageRefused(`can't ${action} ${address}: ${remedy} [${facts}]`, options)
    : new StorageUnavailable(`can't ${action} ${address} at the moment: ${remedy} [${facts}]`, options);
}

interface Verdict {
  readonly remedy: string;
  /** Whether a job should fail at once, rather than wait for somebody to act. */
  readonly lasts: boolean;
}

/** What somebody has to do before the same request can succeed. @returns undefined where nobody may have to */
function verdictOf(error: unknown): Verdict | undefined {
  // The SDK has tried every source of credentials, each with retries of its own. They were there when the worker
  // started, or it would not have: so they may come back.
  if (isCredentialsError(error)) return { remedy: NO_CREDENTIALS, lasts: false };
  const { code, status } = failureOf(error);
  if (status === undefined || status < 300 || passing.includes(code)) return undefined;
  const wait = waiting[code] ?? waitingByStatus[status];
  if (wait !== undefined) return { remedy: wait, lasts: false };
  const remedy = lasting[code] ?? lastingByStatus[status];
  if (remedy !== undefined) return { remedy, lasts: true };
  if (status >= 500 || [408, 409, 412, 429].includes(status)) return undefined;
  return { remedy: `the server refuses it: ${describe(error)}`, lasts: true };
}

function isCredentialsError(error: unknown): boolean {
  return error instanceof Error && /CredentialsProviderError|TokenProviderError/.test(error.name);
}

function failureOf(error: unknown): Failure {
  const name = error instanceof Error ? error.name : 'none';
  const code = name === 'Error' || name === 'AggregateError' ? (errorCode(error) ?? name) : name;
  const metadata = isRecord(error) && isRecord(error.$metadata) ? error.$metadata : {};
  const { httpStatusCode: status, requestId } = metadata;
  return {
    code,
    ...(typeof status === 'number' ? { status } : {}),
    ...(typeof requestId === 'string' ? { requestId } : {}),
  };
}

/**
 * What is kept of an SDK's error. The error itself carries the server's whole answer, where some answers repeat the
 * signed request, session token included, and it can lead to the request with its Authorization header. It would be
 * serialised into logs and Temporal's history.
 */
function harmless(error: unknown): Error {
  const cause = new Error(isCredentialsError(error) ? 'no source had credentials' : describe(error));
  cause.name = failureOf(error).code;
  return cause;
}

/** One line of bounded length. */
function describe(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  // A connection that failed on several addresses has a code only.
  return message.replace(/\s+/g, ' ').trim().slice(0, 300) || failureOf(error).code;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

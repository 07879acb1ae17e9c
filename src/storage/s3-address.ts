/** Where an S3 store is, and how its server is reached. */
export interface S3Location {
  readonly bucket: string;
  /** What all keys of the store begin with, without a slash at either end. Default: nothing, the whole bucket. */
  readonly prefix?: string;
  /** The server's http: or https: URL. Default: the one that the AWS SDK finds (`AWS_ENDPOINT_URL`, profile), else AWS. */
  readonly endpoint?: string;
  /** Default: `us-east-1` with an endpoint, else what the AWS SDK finds (`AWS_REGION`, profile). */
  readonly region?: string;
  /** Whether the bucket is in the URL's path rather than in its host name. Default: true with an endpoint, else false. */
  readonly pathStyle?: boolean;
}

const FORM = 's3://BUCKET/PREFIX?endpoint=URL&region=NAME&path-style=true';
const PARAMETERS = ['endpoint', 'region', 'path-style'];

/** What S3 allows in a key, UTF-8. */
const MAX_KEY_BYTES = 1024;

/**
 * Reads an address such as `s3://pictures/renders?endpoint=http://localhost:9000`.
 * @throws TypeError that says what is wrong, and repeats nothing that may be a secret
 */
export function parseS3Address(address: string): S3Location {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol !== 's3:')
    throw new TypeError(`Expected ${FORM} but received ${withoutSecrets(address)}`);
  refuseSecrets(url, 'the address of a store');
  if (url.port !== '' || url.hash !== '') {
    throw new TypeError(
      `Expected ${FORM} but received ${withoutSecrets(address)}, which has a port or a #: write # in a key as %23`,
    );
  }
  const unknown = [...url.searchParams.keys()].filter((name) => !PARAMETERS.includes(name));
  if (unknown.length > 0) {
    throw new TypeError(
      `Expected only ${PARAMETERS.join(', ')} after the ? of an s3: URL but received ${unknown.join(', ')}`,
    );
  }
  return checkS3Location({
    bucket: url.hostname,
    prefix: decodePath(url.pathname),
    ...optional('endpoint', parameter(url, 'endpoint')),
    ...optional('region', parameter(url, 'region')),
    ...optional('pathStyle', booleanOf(parameter(url, 'path-style'))),
  });
}

/** @returns the same place in its one form. @throws TypeError */
export function checkS3Location(location: S3Location): S3Location {
  const { bucket, endpoint, region, pathStyle } = location;
  if (!/^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/i.test(bucket)) {
    throw new TypeError(
      `Expected the name of a bucket (3 to 63 letters, digits, dots and hyphens) but received ${JSON.stringify(bucket)}`,
    );
  }
  if (region !== undefined && !/^[a-z0-9-]+$/i.test(region)) {
    throw new TypeError(
      `Expected the name of a region such as eu-central-1 but received ${JSON.stringify(region)}`,
    );
  }
  const prefix = (location.prefix ?? '').replace(/^\/+|\/+$/g, '');
  if (prefix !== '') checkKey(prefix);
  return {
    bucket,
    ...optional('prefix', prefix === '' ? undefined : prefix),
    ...optional('endpoint', endpoint === undefined ? undefined : endpointOf(endpoint)),
    ...optional('region', region),
    // Only where it says something: addresses stay short, and two for one place are equal.
    ...optional('pathStyle', pathStyle === (endpoint !== undefined) ? undefined : pathStyle),
  };
}

/** The address of an object, or without a key that of the store itself. */
export function formatS3Address(
  { bucket, prefix, endpoint, region, pathStyle }: S3Location,
  key?: string,
): string {
  const path = [prefix, key].filter((part) => part !== undefined).join('/');
  const parameters = [
    ['endpoint', endpoint],
    ['region', region],
    ['path-style', pathStyle],
  ]
    .filter(([, value]) => value !== undefined)
    .map(
      ([name, value]) =>
        `${name}=${encodeURIComponent(String(value)).replace(/%3A/g, ':').replace(/%2F/g, '/')}`,
    );
  const query = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
  return `s3://${bucket}${path === '' ? '' : `/${path.split('/').map(encodeURIComponent).join('/')}`}${query}`;
}

/**
 * The key, below the store's prefix, of what an address or a key names.
 * @throws TypeError where that is not below the prefix, or in another bucket or on another server
 */
export function keyBelow(store: S3Location, address: string): string {
  if (!/^s3:/i.test(address)) return checkKey(address);
  const { bucket, prefix: path = '', endpoint } = parseS3Address(address);
  const prefix = store.prefix === undefined ? '' : `${store.prefix}/`;
  if (bucket !== store.bucket || endpoint !== store.endpoint || !path.startsWith(prefix)) {
    throw new TypeError(
      `Expected a key or an address below ${formatS3Address(store)} but received ${address}`,
    );
  }
  return checkKey(path.slice(prefix.length));
}

/** @throws TypeError where S3, or a file system behind it, could take this key for another */
export function checkKey(key: string): string {
  const names = key.split('/');
  // Control characters and halves of surrogate pairs: no XML, and so no listing, can hold them.
  const isClean = !/[\p{Cc}\p{Cs}]/u.test(key) && Buffer.byteLength(key) <= MAX_KEY_BYTES;
  if (!isClean || names.some((name) => name === '' || name === '.' || name === '..')) {
    throw new TypeError(
      `Expected a key of names joined by / (no empty ones, no . or .., ${MAX_KEY_BYTES} bytes at most) but received ${JSON.stringify(key)}`,
    );
  }
  return key;
}

/** An address as it may be shown: without user, password and parameters. */
export function withoutSecrets(address: string): string {
  return address.replace(/[?#].*$/s, '').replace(/\/\/[^/]*@/, '//');
}

function endpointOf(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (
    url === undefined ||
    !['http:', 'https:'].includes(url.protocol) ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw new TypeError(
      `Expected an http: or https: URL without parameters for endpoint but received ${withoutSecrets(endpoint)}`,
    );
  }
  refuseSecrets(url, 'endpoint');
  return url.href.replace(/\/$/, '');
}

function refuseSecrets({ username, password }: URL, what: string): void {
  if (username === '' && password === '') return;
  throw new TypeError(
    `Expected no user or password in ${what}, since addresses are logged and travel through Temporal: ` +
      'give credentials as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in any other way that the AWS SDK knows',
  );
}

function parameter(url: URL, name: string): string | undefined {
  const values = url.searchParams.getAll(name);
  if (values.length > 1 || values[0] === '') {
    throw new TypeError(
      `Expected one value for ${name} in an s3: URL but received ${values.length > 1 ? values.length : 'none'}`,
    );
  }
  return values[0];
}

function booleanOf(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined;
  if (text === 'true' || text === 'false') return text === 'true';
  throw new TypeError(
    `Expected true or false for path-style in an s3: URL but received ${JSON.stringify(text)}`,
  );
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new TypeError(`Expected a % in an s3: URL to begin an escaped character but received ${path}`);
  }
}

/** A property, or none where there is no value for it. */
function optional<Name extends string, Value>(
  name: Name,
  value: Value | undefined,
): { readonly [name in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [name in Name]: Value });
}

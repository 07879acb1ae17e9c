import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { HeadObjectCommand, ListObjectsV2Command, PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { defaultFailureConverter, defaultPayloadConverter } from '@temporalio/common';
import { pino } from 'pino';
import sharp from 'sharp';
import { toFailure } from '../src/activities/failure.js';
import { readProvenance } from '../src/activities/provenance.js';
import { createPublishActivities } from '../src/activities/publish.js';
import { openStaging } from '../src/activities/staging.js';
import { RenderError, StorageRefused, StorageUnavailable } from '../src/contract/errors.js';
import type { BlobStore } from '../src/storage/blob-store.js';
import { openStore, openStoreOf } from '../src/storage/open-store.js';
import { createS3Store, type S3Limits, type S3StoreOptions } from '../src/storage/s3-store.js';
import { type Fault, type S3Proxy, startS3Proxy } from './support/s3-proxy.js';
import { type S3Server, s3ServerOfTests } from './support/s3-server.js';
import { scratchFolder } from './support/scratch.js';

const PNG = { contentType: 'image/png' };
/** Large enough that it is cut in its middle, and that the SDK asks the server before it sends the body. */
const LARGE = 3_000_000;

const scratch = scratchFolder();
const { server, missing } = await s3ServerOfTests(scratch);

/** A test that is skipped, and counted as such, where there can be no server. A skipped suite would count as nothing. */
const testOnServer = (name: string, work: () => Promise<void>): void =>
  void test(name, { skip: missing }, work);

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('the address of an S3 store', () => {
  test('says all that is needed to find it again, in one form', () => {
    for (const address of [
      's3://pictures',
      's3://pictures/renders/2026',
      's3://pictures/renders?region=eu-central-1',
      's3://pictures/a%20b?endpoint=http://127.0.0.1:9000&region=auto',
      's3://pictures?endpoint=https://s3.example.com/base&path-style=false',
      's3://pictures?path-style=true',
    ]) {
      assert.equal(openStore(address).url, address);
    }
    assert.equal(openStore('S3://pictures//renders/?path-style=false').url, 's3://pictures/renders');
    assert.equal(
      openStore('s3://pictures?path-style=true&endpoint=HTTP%3A%2F%2Flocalhost%3A9000%2F').url,
      's3://pictures?endpoint=http://localhost:9000',
    );
    const typed = createS3Store({
      bucket: 'pictures',
      prefix: '/renders/',
      endpoint: 'http://localhost:9000',
    });
    assert.equal(typed.url, 's3://pictures/renders?endpoint=http://localhost:9000');
  });

  test('is refused with what was expected where it is none', () => {
    const wrong: [string, RegExp][] = [
      ['s3://', /Expected the name of a bucket .* but received ""/],
      ['s3:pictures', /Expected the name of a bucket .* but received ""/],
      ['s3://b/x', /Expected the name of a bucket .* but received "b"/],
      ['s3://pictures:9000/x', /Expected s3:\/\/BUCKET\/PREFIX.* but received s3:\/\/pictures:9000\/x/],
      ['s3://pictures/x#1', /write # in a key as %23/],
      ['s3://pictures/x//y', /Expected a key of names joined by \/ .* but received "x\/\/y"/],
      ['s3://pictures/%zz', /Expected a % in an s3: URL to begin an escaped character/],
      [
        's3://pictures?regoin=x',
        /Expected only endpoint, region, path-style after the \? .* but received regoin/,
      ],
      ['s3://pictures?region=a&region=b', /Expected one value for region in an s3: URL but received 2/],
      ['s3://pictures?region=', /Expected one value for region in an s3: URL but received none/],
      ['s3://pictures?region=a/b', /Expected the name of a region such as eu-central-1 but received "a\/b"/],
      ['s3://pictures?path-style=yes', /Expected true or false for path-style .* but received "yes"/],
      [
        's3://pictures?endpoint=localhost:9000',
        /Expected an http: or https: URL .* but received localhost:9000/,
      ],
    ];
    for (const [address, message] of wrong)
      assert.throws(() => openStore(address), { name: 'TypeError', message });
  });

  test('never holds credentials, and the refusal does not repeat them', () => {
    for (const address of [
      's3://AKIAKEY:hunter2@pictures/x',
      's3://pictures?endpoint=http://AKIAKEY:hunter2@localhost:9000',
      's3://pictures?secret_access_key=hunter2',
      's3://pictures?endpoint=ftp://AKIAKEY:hunter2@localhost',
      's3://pic tures?secret=hunter2',
      'https://AKIAKEY:hunter2@localhost/pictures?X-Amz-Signature=hunter2',
    ]) {
      assert.throws(
        () => openStore(address),
        (error) =>
          error instanceof TypeError && !/hunter2|AKIAKEY/.test(inspect(error, { showHidden: true })),
        address,
      );
    }
  });

  test('leads to nothing outside the store', async () => {
    const store = openStore('s3://pictures/renders?endpoint=http://127.0.0.1:9');
    const outside = [
      '../a',
      'a/../../b',
      '/etc/passwd',
      '',
      '.',
      'a//b',
      'a/',
      '\u0000',
      '\ud800',
      'x'.repeat(1025),
    ];
    const elsewhere = [
      's3://pictures/other/a',
      's3://pictures/renders/../other/a?endpoint=http://127.0.0.1:9',
      's3://pictures/renders?endpoint=http://127.0.0.1:9',
      's3://pictures/renders/a',
      's3://other/renders/a?endpoint=http://127.0.0.1:9',
      's3://pictures/renders/a?endpoint=http://127.0.0.1:10',
    ];
    for (const address of [...outside, ...elsewhere]) {
      await assert.rejects(store.get(address), TypeError, address);
      await assert.rejects(store.downloadUrl(address), TypeError, address);
    }
    for (const key of outside) {
      await assert.rejects(store.put(key, Buffer.from('a'), PNG), TypeError, key);
      await assert.rejects(store.alias('a', key, PNG), TypeError, key);
    }
  });
});

test('a store without a region, or without credentials, says what is missing', async () => {
  await withEnvironment({}, async () => {
    await assert.rejects(
      createS3Store({ bucket: 'pictures' }).check(),
      (error) =>
        error instanceof StorageRefused &&
        /found none: add \?region=NAME to the address, or set AWS_REGION/.test(error.message),
    );
    const store = openStore('s3://pictures?region=eu-central-1&endpoint=http://127.0.0.1:9');
    await assert.rejects(
      store.check(),
      (error) =>
        error instanceof StorageUnavailable &&
        /finds no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or/.test(
          error.message,
        ) &&
        /attempts=1\]/.test(error.message),
    );
  });
});

describe('an S3 store', () => {
  let s3: S3Server;
  let proxy: S3Proxy;
  let bucket: string;
  let store: BlobStore;
  let buckets = 0;
  const unavailable: Fault = { kind: 'answer', status: 503, code: 'SlowDown' };

  /** A store in the test's bucket, by way of the proxy. */
  function storeWith(limits: Partial<S3Limits> = {}, options: Partial<S3StoreOptions> = {}): BlobStore {
    return createS3Store({
      bucket,
      prefix: 'renders',
      endpoint: proxy.endpoint,
      credentials: s3.credentials,
      limits: { backOffMs: 2, attemptMs: 20_000, ...limits },
      ...options,
    });
  }

  beforeEach(async () => {
    if (!server) return;
    s3 = server;
    proxy = await startS3Proxy(s3.endpoint);
    bucket = `pictures-${buckets++}`;
    await s3.makeBucket(bucket);
    store = storeWith();
  });
  afterEach(() => proxy?.close());

  /** What a request of the proxy's log was, in order. */
  const methods = (): string[] => proxy.requests.map(({ method }) => method);
  const headers = async (key: string) =>
    s3.client.send(new HeadObjectCommand({ Bucket: bucket, Key: key, ChecksumMode: 'ENABLED' }));

  testOnServer('gives back what was put, by key and by address, also in another process', async () => {
    const bytes = randomBytes(1000);
    const url = await store.put('blobs/夜の 猫+%.png', bytes, PNG);
    assert.equal(
      url,
      `s3://${bucket}/renders/blobs/${encodeURIComponent('夜の 猫+%.png')}?endpoint=${proxy.endpoint}`,
    );
    assert.deepEqual(await store.get('blobs/夜の 猫+%.png'), bytes);
    assert.deepEqual(await store.get(url), bytes);
    assert.deepEqual(await s3.objects(bucket), ['renders/blobs/夜の 猫+%.png']);

    const { accessKeyId, secretAccessKey } = s3.credentials;
    await withEnvironment(
      { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
      async () => {
        assert.deepEqual(await openStoreOf(url).get(url), bytes);
        assert.deepEqual(await openStore(store.url).get(url), bytes);
      },
    );
  });

  testOnServer(
    'keeps media type, SHA-256 and the server-side checksum with the picture and with its readable copy',
    async () => {
      const bytes = randomBytes(1000);
      await store.put('blobs/a.png', bytes, PNG);
      await store.alias('blobs/a.png', 'pizza.png', PNG);
      for (const key of ['renders/blobs/a.png', 'renders/pizza.png']) {
        const { ContentType, Metadata, ChecksumSHA256, ContentLength } = await headers(key);
        assert.deepEqual(
          { ContentType, Metadata, ChecksumSHA256, ContentLength },
          {
            ContentType: 'image/png',
            Metadata: { sha256: sha256(bytes) },
            ChecksumSHA256: Buffer.from(sha256(bytes), 'hex').toString('base64'),
            ContentLength: 1000,
          },
        );
      }
    },
  );

  testOnServer(
    'writes only under the condition that nothing is there, and takes what is there if it is the same',
    async () => {
      const bytes = randomBytes(1000);
      const url = await store.put('a', bytes, PNG);
      assert.deepEqual(methods(), ['PUT']);
      assert.equal(await store.put('a', bytes, PNG), url);
      assert.deepEqual(methods(), ['PUT', 'PUT', 'GET']);
      const [first, second] = proxy.requests;
      assert.equal(first?.headers['if-none-match'], '*');
      assert.equal(second?.headers['if-none-match'], '*');
      assert.equal(
        first?.headers['x-amz-checksum-sha256'],
        Buffer.from(sha256(bytes), 'hex').toString('base64'),
      );
    },
  );

  testOnServer('replaces what is damaged, and only what it has seen', async () => {
    const bytes = randomBytes(1000);
    await store.put('a', bytes, PNG);
    const { ETag } = await headers('renders/a');
    await s3.damageObject(bucket, 'renders/a', randomBytes(1000));
    await store.put('a', bytes, PNG);
    assert.deepEqual(await s3.readObject(bucket, 'renders/a'), bytes);
    assert.deepEqual(methods(), ['PUT', 'PUT', 'GET', 'PUT']);
    assert.equal(proxy.requests.at(-1)?.headers['if-match'], ETag);

    const other = randomBytes(500);
    await store.put('a', other, PNG);
    assert.deepEqual(await store.get('a'), other);
  });

  testOnServer('never hands out what is damaged', async () => {
    await store.put('a', randomBytes(1000), PNG);
    await s3.damageObject(bucket, 'renders/a', randomBytes(1000));
    await assert.rejects(store.get('a'), (error) => {
      assert.ok(error instanceof StorageUnavailable);
      assert.match(
        error.message,
        /can't read s3:.*\/a.* at the moment: .*(Checksum mismatch|not what was stored)/,
      );
      return true;
    });
  });

  testOnServer('gives a second name by a copy on the server, again and again', async () => {
    await store.put('blobs/a', randomBytes(100), PNG);
    const url = await store.alias('blobs/a', '夜の 猫+%.png', PNG);
    assert.equal(await store.alias('blobs/a', '夜の 猫+%.png', PNG), url);
    assert.deepEqual(await store.get(url), await store.get('blobs/a'));
    const copies = proxy.requests.filter(({ method }) => method === 'COPY');
    assert.deepEqual(
      copies.map(({ headers }) => [headers['if-none-match'], headers['content-length'] ?? '0']),
      [
        ['*', '0'],
        ['*', '0'],
      ],
    );
  });

  // This server copies whatever the condition says; S3 itself answers as the proxy does here.
  testOnServer(
    'leaves a second name as it is where that is taken by the same picture, and replaces another',
    async () => {
      const taken: Fault = { kind: 'answer', status: 412, code: 'PreconditionFailed' };
      const bytes = randomBytes(100);
      await store.put('blobs/a', bytes, PNG);
      await store.alias('blobs/a', 'pizza', PNG);
      proxy.fail('COPY', taken);
      await store.alias('blobs/a', 'pizza', PNG);
      assert.deepEqual(methods(), ['PUT', 'COPY', 'COPY', 'GET', 'GET']);

      await store.put('blobs/b', Buffer.from('b'), PNG);
      const { ETag } = await headers('renders/pizza');
      proxy.fail('COPY', taken);
      await store.alias('blobs/b', 'pizza', PNG);
      assert.equal((await store.get('pizza')).toString(), 'b');
      const last = proxy.requests.filter(({ method }) => method === 'COPY').at(-1);
      assert.equal(last?.headers['if-match'], ETag);
    },
  );

  testOnServer('keeps one whole object where many put one key at the same time', async () => {
    const bytes = randomBytes(300_000);
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        await store.put('blobs/a', bytes, PNG);
        await store.alias('blobs/a', 'name', PNG);
      }),
    );
    assert.deepEqual(await s3.objects(bucket), ['renders/blobs/a', 'renders/name']);
    assert.deepEqual(await store.get('name'), bytes);
    // Whoever came second has looked at what was there.
    assert.ok(methods().filter((method) => method === 'GET').length >= 10);
  });

  testOnServer('keeps one of two where two put different things under one key', async () => {
    const candidates = [randomBytes(200_000), randomBytes(200_000)];
    await Promise.all(candidates.map((bytes) => store.put('a', bytes, PNG)));
    const kept = await store.get('a');
    assert.ok(candidates.some((bytes) => bytes.equals(kept)));
  });

  testOnServer(
    'proves that it can write and read before work begins, with one small object that stays',
    async () => {
      await store.check();
      await store.check();
      assert.deepEqual(await s3.objects(bucket), ['renders/.probe']);
      assert.deepEqual([...new Set(methods())].sort(), ['GET', 'PUT']);
    },
  );

  testOnServer('gives parts of what is too large to be held, and none beyond its end', async () => {
    const bytes = randomBytes(1000);
    await store.put('a', bytes, PNG);
    await store.put('empty', Buffer.alloc(0), PNG);
    const part = async (key: string, start: number, length: number) => {
      const { bytes, size } = await store.getPart(key, start, length);
      return { bytes, size };
    };
    assert.deepEqual(await part('a', 0, 10), { bytes: bytes.subarray(0, 10), size: 1000 });
    proxy.fail('GET', unavailable, { kind: 'cut-response', afterBytes: 3 });
    assert.deepEqual(await part('a', 990, 100), { bytes: bytes.subarray(990), size: 1000 });
    assert.equal(proxy.remaining, 0);
    assert.deepEqual(await part('a', 1000, 10), { bytes: Buffer.alloc(0), size: 1000 });
    assert.deepEqual(await part('empty', 0, 10), { bytes: Buffer.alloc(0), size: 0 });
    const { version } = await store.getPart('a', 0, 10);
    assert.equal((await store.getPart('a', 10, 10)).version, version);
    await store.put('a', randomBytes(1000), PNG);
    assert.notEqual((await store.getPart('a', 10, 10)).version, version);
    await assert.rejects(store.getPart('none', 0, 10), StorageRefused);
  });

  testOnServer('lists what lies directly below a key', async () => {
    for (const key of ['x/b', 'x/a +%夜', 'x/deep/c', 'xy', 'y/d'])
      await store.put(key, Buffer.from(key), PNG);
    proxy.fail('GET', unavailable);
    assert.deepEqual(await store.list('x'), ['x/a +%夜', 'x/b']);
    assert.deepEqual(await store.list('nothing'), []);
    await assert.rejects(store.list('../x'), TypeError);
  });

  testOnServer('gives URLs that download for whoever has them, for as long as was asked', async () => {
    const bytes = randomBytes(1000);
    const address = await store.put('夜 +%.png', bytes, PNG);
    const url = await store.downloadUrl(address, { expiresInSeconds: 60 });
    assert.equal(new URL(url).searchParams.get('X-Amz-Expires'), '60');
    const answer = await fetch(url);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'image/png');
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), bytes);

    assert.equal(new URL(await store.downloadUrl('夜 +%.png')).searchParams.get('X-Amz-Expires'), '3600');
    assert.equal((await fetch(url.replace(/\?.*/, ''))).status, 403);
    assert.equal((await fetch(url.replace('X-Amz-Expires=60', 'X-Amz-Expires=61'))).status, 403);
    assert.ok(!url.includes(s3.credentials.secretAccessKey));
    for (const expiresInSeconds of [0, -1, 1.5, Number.NaN, 604_801]) {
      await assert.rejects(
        store.downloadUrl(address, { expiresInSeconds }),
        /Expected 1 to 604800 seconds for expiresInSeconds but received/,
      );
    }
  });

  describe('survives, twice in a row,', () => {
    /** What may befall a write. With what it leaves behind, a second attempt must come to terms. */
    const writeFaults: Fault[] = [
      unavailable,
      { kind: 'answer', status: 500, code: 'InternalError' },
      { kind: 'answer', status: 502, code: '', body: '<html>Bad gateway</html>' },
      { kind: 'answer', status: 429, code: 'TooManyRequests' },
      { kind: 'answer', status: 409, code: 'ConditionalRequestConflict' },
      { kind: 'answer', status: 400, code: 'RequestTimeout' },
      { kind: 'answer', status: 403, code: 'RequestTimeTooSkewed' },
      { kind: 'cut-request', afterBytes: 0 },
      { kind: 'cut-request', afterBytes: 1_000_000 },
      { kind: 'cut-response', afterBytes: 0 },
      { kind: 'flip-request' },
      { kind: 'stall-request' },
      { kind: 'stall-response' },
    ];
    for (const fault of writeFaults) {
      testOnServer(`a put with ${describeFault(fault)}`, async () => {
        const patient = storeWith({ idleMs: 1500 });
        const bytes = randomBytes(LARGE);
        proxy.fail('PUT', fault, fault);
        const url = await patient.put('blobs/a', bytes, PNG);
        assert.equal(proxy.remaining, 0);
        assert.equal(methods().filter((method) => method === 'PUT').length, 3);
        assert.deepEqual(await s3.objects(bucket), ['renders/blobs/a']);
        assert.deepEqual(await patient.get(url), bytes);
      });
    }

    const copyFaults: Fault[] = [
      unavailable,
      // S3 may begin to answer before it has copied, and tell of a failure in the body.
      { kind: 'answer', status: 200, code: 'InternalError' },
      { kind: 'cut-response', afterBytes: 0 },
      { kind: 'cut-response', afterBytes: 60 },
      { kind: 'stall-response' },
    ];
    for (const fault of copyFaults) {
      testOnServer(`an alias with ${describeFault(fault)}`, async () => {
        const patient = storeWith({ idleMs: 1500 });
        const bytes = randomBytes(1000);
        await patient.put('blobs/a', bytes, PNG);
        proxy.fail('COPY', fault, fault);
        await patient.alias('blobs/a', 'pizza', PNG);
        assert.equal(proxy.remaining, 0);
        assert.deepEqual(await patient.get('pizza'), bytes);
      });
    }

    const readFaults: Fault[] = [
      unavailable,
      { kind: 'cut-response', afterBytes: 0 },
      { kind: 'cut-response', afterBytes: 100_000 },
      { kind: 'shorten-response', toBytes: 100_000 },
      { kind: 'shorten-response', toBytes: 0 },
      { kind: 'flip-response' },
      { kind: 'stall-request' },
      { kind: 'stall-body', afterBytes: 100_000 },
      { kind: 'trickle-response', everyMs: 50 },
    ];
    for (const fault of readFaults) {
      testOnServer(`a get with ${describeFault(fault)}`, async () => {
        const patient = storeWith({ idleMs: 1500, attemptMs: 3000 });
        const bytes = randomBytes(LARGE);
        const url = await patient.put('blobs/a', bytes, PNG);
        proxy.fail('GET', fault, fault);
        assert.deepEqual(await patient.get(url), bytes);
        assert.equal(proxy.remaining, 0);
        assert.deepEqual(methods(), ['PUT', 'GET', 'GET', 'GET']);
      });
    }
  });

  testOnServer('waits for a server that is slow but alive', async () => {
    const bytes = randomBytes(LARGE);
    const late: Fault = { kind: 'delay-response', byMs: 500 };
    proxy.fail('PUT', late);
    proxy.fail('GET', late);
    const url = await store.put('a', bytes, PNG);
    assert.deepEqual(await store.get(url), bytes);
    assert.deepEqual(methods(), ['PUT', 'GET']);
  });

  testOnServer('leaves nothing under the key of a put that was cut off, whole or in part', async () => {
    for (const afterBytes of [0, 1, 1_000_000, LARGE - 1]) {
      proxy.fail('PUT', { kind: 'cut-request', afterBytes });
      await assert.rejects(
        storeWith({ attempts: 1 }).put('a', randomBytes(LARGE), PNG),
        StorageUnavailable,
        `${afterBytes} bytes`,
      );
      const { KeyCount } = await s3.client.send(new ListObjectsV2Command({ Bucket: bucket }));
      assert.equal(KeyCount, 0);
    }
    proxy.fail('PUT', { kind: 'flip-request' });
    await assert.rejects(storeWith({ attempts: 1 }).put('a', randomBytes(LARGE), PNG), StorageUnavailable);
    await assert.rejects(store.get('a'), /there is no such object/);
  });

  testOnServer(
    'gives up after so many attempts, as something that may pass, and says where and why',
    async () => {
      proxy.fail('PUT', ...Array.from({ length: 9 }, () => unavailable));
      await assert.rejects(store.put('blobs/a', randomBytes(10), PNG), (error) => {
        assert.ok(error instanceof StorageUnavailable);
        assert.equal(error.retry, true);
        assert.equal(
          error.message,
          `can't write s3://${bucket}/renders/blobs/a?endpoint=${proxy.endpoint} at the moment: told to; ` +
            'if this lasts, check that the server runs and that the endpoint is right ' +
            `[bucket=${bucket}, key=renders/blobs/a, code=SlowDown, status=503, attempts=5]`,
        );
        assert.ok(error.cause instanceof Error);
        assert.equal(error.cause.name, 'SlowDown');
        return true;
      });
      assert.equal(methods().length, 5);
    },
  );

  testOnServer(
    'gives up on a server that stays silent, that never comes to an end, and that is not there',
    async () => {
      const hasty = storeWith({ attempts: 2, idleMs: 300 });
      const trickle: Fault = { kind: 'trickle-response', everyMs: 50 };
      await store.put('blobs/a', randomBytes(1000), PNG);
      proxy.fail('GET', trickle, trickle);
      await assert.rejects(
        storeWith({ attempts: 2, attemptMs: 300 }).get('blobs/a'),
        /at the moment: no whole answer within 300 ms; .*attempts=2\]/,
      );
      proxy.fail('GET', { kind: 'stall-request' }, { kind: 'stall-request' });
      await assert.rejects(
        hasty.get('a'),
        /timed out after 300 ms of inactivity.*code=TimeoutError, attempts=2\]/,
      );

      const { endpoint } = proxy;
      await proxy.close();
      await assert.rejects(hasty.get('a'), /at the moment: .*code=ECONNREFUSED, attempts=2\]/);
      proxy = await startS3Proxy(s3.endpoint);
      assert.notEqual(proxy.endpoint, endpoint);
    },
  );

  testOnServer('finds its server again that was killed and came back', async () => {
    const bytes = randomBytes(LARGE);
    await s3.kill();
    const putting = storeWith({ attempts: 1000, backOffMs: 50 }).put('a', bytes, PNG);
    await assert.rejects(storeWith({ attempts: 1 }).get('a'), StorageUnavailable);
    await s3.restart();
    const url = await putting;
    assert.deepEqual(await store.get(url), bytes);
  });

  testOnServer('is refused at once where trying again is in vain, with what to do', async () => {
    const { accessKeyId } = s3.credentials;
    const stranger = await s3.addUser(`stranger-${bucket}`);
    const put = (options: Partial<S3StoreOptions>) => storeWith({}, options).put('a', Buffer.from('a'), PNG);
    const refusals: [() => Promise<unknown>, RegExp][] = [
      [
        () => put({ bucket: 'nowhere' }),
        /there is no such bucket: create it, .*code=NoSuchBucket, status=404/,
      ],
      [
        () => put({ credentials: stranger }),
        /these credentials may not do that there .*allow s3:PutObject.*code=AccessDenied/,
      ],
      [
        () => put({ credentials: { accessKeyId, secretAccessKey: 'wrong' } }),
        /does not accept these credentials: .*code=SignatureDoesNotMatch/,
      ],
      [
        () => put({ credentials: { accessKeyId: 'nobody', secretAccessKey: 'wrong' } }),
        /does not accept these credentials: .*code=InvalidAccessKeyId/,
      ],
      [() => store.get('none'), /can't read s3:.*\/none.*: there is no such object .*code=NoSuchKey/],
      [
        () => store.alias('none', 'name', PNG),
        /can't copy s3:.*\/none.*: there is no such object .*code=NoSuchKey/,
      ],
    ];
    for (const [attempt, message] of refusals) {
      const before = methods().length;
      await assert.rejects(attempt, (error) => {
        assert.ok(error instanceof StorageRefused, inspect(error));
        assert.match(error.message, message);
        assert.match(error.message, /attempts=1\]$/);
        return true;
      });
      assert.equal(methods().length, before + 1);
    }
    const answers: [number, string, RegExp][] = [
      [301, 'PermanentRedirect', /the bucket is in another region: name it with \?region=/],
      [400, 'AuthorizationHeaderMalformed', /the bucket is in another region/],
      [501, 'NotImplemented', /this server lacks something that the store needs/],
      [400, 'MalformedXML', /the server refuses it: told to/],
    ];
    for (const [status, code, message] of answers) {
      proxy.fail('PUT', { kind: 'answer', status, code });
      await assert.rejects(
        put({}),
        (error) => error instanceof StorageRefused && message.test(error.message),
        code,
      );
    }
  });

  testOnServer(
    'tells of what somebody has to end while the job waits, without pressing the server',
    async () => {
      const answers: [number, string, RegExp][] = [
        [400, 'ExpiredToken', /at the moment: the credentials have expired: renew them/],
        [403, 'QuotaExceeded', /at the moment: the store is full: free some space/],
        [507, 'XMinioStorageFull', /at the moment: the store is full: free some space/],
      ];
      for (const [status, code, message] of answers) {
        proxy.fail('PUT', { kind: 'answer', status, code });
        await assert.rejects(store.put('a', Buffer.from('a'), PNG), (error) => {
          assert.ok(error instanceof StorageUnavailable, code);
          assert.match(error.message, message);
          assert.match(error.message, /attempts=1\]$/);
          return true;
        });
      }
    },
  );

  testOnServer('works with the rights to read and write objects alone', async () => {
    const worker = await s3.addUser(`worker-${bucket}`);
    await s3.client.send(
      new PutBucketPolicyCommand({
        Bucket: bucket,
        Policy: JSON.stringify({
          Version: '2012-10-17',
          Statement: [
            {
              Effect: 'Allow',
              Principal: { AWS: [worker.accessKeyId] },
              Action: ['s3:GetObject', 's3:PutObject'],
              Resource: [`arn:aws:s3:::${bucket}/renders/*`],
            },
          ],
        }),
      }),
    );
    const restricted = storeWith({}, { credentials: worker });
    await restricted.check();
    const url = await restricted.put('blobs/a', Buffer.from('a'), PNG);
    await restricted.put('blobs/a', Buffer.from('b'), PNG);
    assert.equal((await restricted.get(await restricted.alias('blobs/a', 'name', PNG))).toString(), 'b');
    assert.equal((await fetch(await restricted.downloadUrl(url))).status, 200);
    await assert.rejects(
      storeWith({}, { credentials: worker, prefix: 'others' }).put('a', Buffer.from('a'), PNG),
      StorageRefused,
    );
  });

  testOnServer('puts no credential into what it throws, logs or hands to Temporal', async () => {
    const secrets = { ...s3.credentials, sessionToken: `token-${randomBytes(8).toString('hex')}` };
    // As S3 answers: it repeats what was signed, session token included.
    const body = [
      '<Error><Code>SignatureDoesNotMatch</Code><Message>no match</Message>',
      `<AWSAccessKeyId>${secrets.accessKeyId}</AWSAccessKeyId>`,
      `<CanonicalRequest>PUT x-amz-security-token:${secrets.sessionToken}</CanonicalRequest></Error>`,
    ].join('');
    const faults: Fault[] = [
      { kind: 'answer', status: 403, code: '', body },
      { kind: 'answer', status: 503, code: '', body: body.replace('SignatureDoesNotMatch', 'SlowDown') },
      { kind: 'cut-response', afterBytes: 0 },
      { kind: 'stall-request' },
    ];
    const shy = storeWith({ attempts: 1, idleMs: 300 }, { credentials: secrets });
    let logged = '';
    const log = pino(
      {},
      {
        write(line: string) {
          logged += line;
        },
      },
    );
    for (const fault of faults) {
      proxy.fail('PUT', fault);
      const error: unknown = await shy.put('a', randomBytes(10), PNG).then(
        () => assert.fail('expected it to be refused'),
        (thrown: unknown) => thrown,
      );
      assert.ok(error instanceof RenderError);
      logged = '';
      log.error(error);
      const failure = defaultFailureConverter.errorToFailure(toFailure(error), defaultPayloadConverter);
      const shown = [inspect(error, { showHidden: true, depth: 20 }), logged, JSON.stringify(failure)].join(
        '\n',
      );
      assert.match(shown, new RegExp(error.type));
      for (const secret of Object.values(secrets))
        assert.ok(!shown.includes(secret), `${describeFault(fault)}: ${shown}`);
    }
    assert.ok(
      proxy.requests.every(({ headers }) => headers['x-amz-security-token'] === secrets.sessionToken),
    );
    assert.ok(!inspect(shy, { showHidden: true, depth: 20 }).includes(secrets.secretAccessKey));
    assert.ok(!shy.url.includes(secrets.accessKeyId));
  });

  testOnServer(
    'is published to: a picture under its digest and its name, verified, once, whatever the first attempts met',
    async () => {
      const log = pino({ level: 'silent' });
      await using staging = await openStaging({ folder: `${scratch}/staging`, log });
      const width = 64;
      const data = randomBytes(width * width * 3);
      const { publish } = createPublishActivities({ store, staging, log });
      const input = {
        claim: {
          id: 'claim-1',
          hostQueue: 'host',
          index: 0,
          seed: 7,
          width,
          height: width,
          sha256: sha256(data),
          modelDigest: 'ab'.repeat(32),
          device: 'cpu',
          stages: { queueMs: 1, engineMs: 1, textMs: 1, denoiseMs: 1, decodeMs: 1 },
        },
        output: { format: 'png' as const },
        origin: {
          workflowId: 'w',
          runId: 'r',
          model: 'emoji',
          prompt: 'a slice of pizza',
          steps: 4,
          tags: {},
        },
      };
      // Of an activity's context only these are used; the rest is a worker's.
      const context = {
        info: { heartbeatTimeoutMs: 10_000 },
        cancellationSignal: new AbortController().signal,
        heartbeat: () => {},
      } as unknown as Context;
      const published = async () => {
        await staging.put('claim-1', data);
        return asyncLocalStorage.run(context, () => publish(input));
      };

      proxy.fail('PUT', unavailable, { kind: 'cut-response', afterBytes: 0 });
      proxy.fail('COPY', { kind: 'cut-response', afterBytes: 0 });
      proxy.fail('GET', { kind: 'cut-response', afterBytes: 0 });
      const image = await published();
      assert.equal(proxy.remaining, 0);
      assert.deepEqual({ ...(await published()), stages: {} }, { ...image, stages: {} });

      const name = `a-slice-of-pizza-7-${image.sha256.slice(0, 8)}.png`;
      assert.equal(image.url, `s3://${bucket}/renders/${name}?endpoint=${proxy.endpoint}`);
      assert.deepEqual(await s3.objects(bucket), [`renders/${name}`, `renders/blobs/${image.sha256}.png`]);
      const file = await store.get(image.url);
      assert.equal(sha256(file), image.sha256);
      assert.deepEqual(await sharp(file).raw().toBuffer(), data);
      assert.equal((await readProvenance(file)).prompt, 'a slice of pizza');
    },
  );
});

function describeFault({ kind, ...details }: Fault): string {
  const facts = Object.entries(details)
    .filter(([name]) => name !== 'body')
    .map(([name, value]) => `${name} ${value}`);
  return [kind, ...facts].join(' ');
}

/** Runs with these of AWS's variables only, and no files or metadata service that could give others. */
async function withEnvironment(
  variables: Readonly<Record<string, string>>,
  work: () => Promise<void>,
): Promise<void> {
  const saved = { ...process.env };
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  Object.assign(process.env, {
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    ...variables,
  });
  try {
    await work();
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in saved)) delete process.env[name];
    Object.assign(process.env, saved);
  }
}

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { freePort } from '../../src/cli/embedded-server.js';
import { findVersitygw } from './s3-install.js';
import { until } from './waiting.js';

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** A real S3 server that keeps its buckets in folders. */
export interface S3Server {
  /** `http://127.0.0.1:PORT`; the same after a restart. */
  readonly endpoint: string;
  /** Those of the owner of everything. */
  readonly credentials: S3Keys;
  /** Past the store under test. */
  readonly client: S3Client;
  makeBucket(name: string): Promise<void>;
  /** Somebody else, who may do nothing yet. */
  addUser(name: string): Promise<S3Keys>;
  /** The names of all objects of a bucket, as they lie on its disk, unfinished ones included. */
  objects(bucket: string): Promise<string[]>;
  readObject(bucket: string, key: string): Promise<Buffer>;
  /** Changes an object behind the server's back, as a failing disk would. */
  damageObject(bucket: string, key: string, bytes: Uint8Array): Promise<void>;
  /** Ends the process as a crash would. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** Ends the server when its standard input ends: in every way that this process can die, SIGKILL included. */
const WATCH = `exec 3<&0 </dev/null
"$@" 3<&- & server=$!
{ read -r _ <&3; kill -KILL $server; } 2>/dev/null & watch=$!
exec 3<&-
wait $server
kill -KILL $watch 2>/dev/null`;

const HEALTH = '/healthy';

/**
 * @param folder where everything is kept
 * @throws Error that says why there can be no server on this machine
 */
async function startS3Server(folder: string): Promise<S3Server> {
  const program = await findVersitygw();
  const [buckets, users, sidecar] = ['buckets', 'users', 'sidecar'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [buckets, users, sidecar]) await mkdir(path, { recursive: true });
  const credentials = newKeys('owner');
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });

  let server: ChildProcess | undefined;
  let said = '';
  // Beside the object where the disk can keep attributes, else in files of their own.
  let metadata: string[] = [];

  async function tryToStart(): Promise<boolean> {
    const listen = [
      '--port',
      `127.0.0.1:${port}`,
      '--iam-dir',
      users,
      '--health',
      HEALTH,
      '--keep-alive',
      '--quiet',
    ];
    const child = spawn('sh', ['-c', WATCH, 'sh', program, ...listen, 'posix', ...metadata, buckets], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: {
        ...process.env,
        ROOT_ACCESS_KEY: credentials.accessKeyId,
        ROOT_SECRET_KEY: credentials.secretAccessKey,
      },
    });
    child.stdin?.on('error', () => {});
    said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000);
    });
    server = child;
    // It must not keep the test file from ending: Node 20.3 calls a file's `after` only once nothing else does.
    child.unref();
    for (const stream of [child.stdin, child.stderr]) (stream as Socket | null)?.unref();
    let healthy = false;
    await until('the S3 server is healthy', async () => {
      healthy = await fetch(endpoint + HEALTH)
        .then(({ ok }) => ok)
        .catch(() => false);
      return healthy || child.exitCode !== null;
    });
    return healthy;
  }

  async function start(): Promise<void> {
    if (await tryToStart()) return;
    metadata = ['--sidecar', sidecar];
    if (!(await tryToStart())) throw new Error(`the S3 server does not start: ${said.trim()}`);
  }

  async function kill(): Promise<void> {
    if (server === undefined || server.exitCode !== null) return;
    server.ref();
    const gone = once(server, 'exit');
    server.stdin?.destroy();
    await gone;
    server = undefined;
  }

  await start();
  return {
    endpoint,
    credentials,
    client,
    async makeBucket(name) {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    },
    async addUser(name) {
      const keys = newKeys(name);
      const owner = ['--access', credentials.accessKeyId, '--secret', credentials.secretAccessKey];
      const user = ['--access', keys.accessKeyId, '--secret', keys.secretAccessKey, '--role', 'user'];
      await promisify(execFile)(program, [
        'admin',
        ...owner,
        '--endpoint-url',
        endpoint,
        'create-user',
        ...user,
      ]);
      return keys;
    },
    async objects(bucket) {
      const entries = await readdir(join(buckets, bucket), { recursive: true, withFileTypes: true });
      return (
        entries
          .filter((entry) => entry.isFile())
          // Node 20.3 calls it `path`, later ones `parentPath`.
          .map((entry) =>
            join(entry.parentPath ?? entry.path, entry.name).slice(join(buckets, bucket).length + 1),
          )
          .sort()
      );
    },
    readObject: (bucket, key) => readFile(join(buckets, bucket, key)),
    damageObject: (bucket, key, bytes) => writeFile(join(buckets, bucket, key), bytes),
    kill,
    restart: start,
    async close() {
      client.destroy();
      await kill();
    },
  };
}

export type TestS3 =
  | { readonly server: S3Server; readonly missing: false }
  /** Why there can be none on this machine. */
  | { readonly server: undefined; readonly missing: string };

/** The server of one test file, which ends with it. */
export async function s3ServerOfTests(folder: string): Promise<TestS3> {
  try {
    const server = await startS3Server(folder);
    after(() => server.close());
    return { server, missing: false };
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    return { server: undefined, missing: `there is no S3 server here: ${reason}` };
  }
}

function newKeys(accessKeyId: string): S3Keys {
  return { accessKeyId, secretAccessKey: randomBytes(20).toString('hex') };
}

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { temporalProgram } from '../bench/server.js';
import { readProvenance } from '../src/activities/provenance.js';
import { freePort } from '../src/cli/embedded-server.js';
import type { GenerateResult } from '../src/contract/job.js';
import { packageRoot } from '../src/package-root.js';
import { openStoreOf } from '../src/storage/open-store.js';
import { METRICS } from '../src/worker/metrics.js';
import { Command } from './support/command.js';
import { COMPOSE, withDefaults } from './support/compose.js';
import { EMOJI } from './support/references.js';
import { s3ServerOfTests } from './support/s3-server.js';
import { scratchFolder } from './support/scratch.js';
import { loadSdk, startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';

const execute = promisify(execFile);
const scratch = scratchFolder();
const s3 = await s3ServerOfTests(scratch);
const NAMESPACE = 'shop';
const ORDERS = 3;

let temporal: TestServer;
/** What docker-compose.yml gives its workers, with the servers of this test in the places of its own. */
let environment: Record<string, string>;
before(async () => {
  temporal = await startTestServer();
  // As the service temporal-namespace does it.
  const [script = ''] =
    COMPOSE.services['temporal-namespace']?.volumes?.map((volume) => volume.split(':')[0]) ?? [];
  const PATH = [dirname(await temporalProgram(loadSdk)), process.env.PATH].join(':');
  const settings = { TEMPORAL_ADDRESS: temporal.address, TEMPORAL_NAMESPACE: NAMESPACE, RETENTION: '1d' };
  await execute('sh', [join(packageRoot(), script)], { env: { ...process.env, ...settings, PATH } });
  if (!s3.server) return;
  await s3.server.makeBucket('pictures');
  const { accessKeyId, secretAccessKey } = s3.server.credentials;
  const places: Record<string, string> = {
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: NAMESPACE,
    AWS_ENDPOINT_URL: s3.server.endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  };
  assert.deepEqual(Object.keys(places), Object.keys(COMPOSE.services.jobs?.environment ?? {}));
  environment = places;
  // This process reads what was stored as any other client does: by its address.
  Object.assign(process.env, places);
});
after(() => temporal.close());

/** A worker of docker-compose.yml, as a process. */
async function start(service: string): Promise<Command> {
  // Containers have the same ones each; here they are all on one machine.
  const places: Record<string, string> = { '/model': EMOJI, '8080': '0', '9464': String(await freePort()) };
  const argv = (COMPOSE.services[service]?.command ?? [])
    .map(withDefaults)
    .map((argument) => places[argument] ?? argument);
  return new Command(argv, { cwd: scratch, env: environment });
}

/** Asks a worker's health port, as Docker and Prometheus do. */
async function ask(worker: Command, path: string): Promise<Response> {
  await worker.says('health server started');
  const [, port] = /"port":(\d+),"msg":"health server started"/.exec(worker.stderr) ?? [];
  return fetch(`http://127.0.0.1:${port}${path}`);
}

async function scrape(worker: Command): Promise<string> {
  const response = await ask(worker, '/metrics');
  assert.equal(response.status, 200);
  return response.text();
}

/** The sum of a metric, whatever its labels. */
function sumOf(text: string, name: string): number {
  const values = text.split('\n').filter((line) => line.startsWith(`${name}{`));
  return values.reduce((sum, line) => sum + Number(line.slice(line.indexOf('} ') + 2).split(' ')[0]), 0);
}

const ready = (worker: Command) =>
  until('the worker is ready', async () => (await ask(worker, '/readyz')).ok);

test('all services together: the jobs of two clients end with their pictures in S3, though the worker that draws them is killed', {
  skip: s3.missing,
}, async () => {
  const jobs = await start('jobs');
  const first = await start('worker-cpu');
  const workers = [jobs, first];
  try {
    await Promise.all(workers.map(ready));

    // One through the library, in a process of its own, one through the command.
    const library = execute(process.execPath, [
      fileURLToPath(new URL('./support/stack-client.js', import.meta.url)),
      ...[temporal.address, NAMESPACE, String(ORDERS)],
    ]);
    library.catch(() => {});
    const argv = ['render', 'a blue car', '--count', '3', '--seed', '7', '--size', '128x128', '--steps', '8'];
    const command = new Command([...argv, '--json', '--out', 'own'], { cwd: scratch, env: environment });

    await until('some of the pictures are drawn', () => first.stderr.split('image drawn').length > 2);
    first.kill('SIGKILL');
    assert.equal(await first.ended, 'SIGKILL');
    // As Docker does with a container that ended.
    const second = await start('worker-cpu');
    workers.push(second);

    const results = (await library).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as GenerateResult & { id: string });
    assert.deepEqual(
      results.map(({ id }) => id).sort(),
      ['order-0', 'order-1', 'order-2'].map((key) => `generate-image/${key}`),
    );
    assert.equal(await command.ended, 0, command.stderr);
    const own = JSON.parse(command.stdout) as {
      images: { path: string; seed: number }[];
      workflowId: string;
    };
    assert.deepEqual(
      own.images.map(({ seed }) => seed),
      [7, 8, 9],
    );

    // What the library's client was told is where it was told, and what it was told.
    const seeds = new Set<number>();
    for (const { id, images, tags } of results) {
      assert.deepEqual(tags, { order: id.slice(-1) });
      for (const image of images) {
        assert.match(image.url, /^s3:\/\/pictures\/a-red-apple-\d+-[0-9a-f]{8}\.webp\?path-style=true$/);
        const bytes = await openStoreOf(image.blobUrl).get(image.blobUrl);
        assert.equal(createHash('sha256').update(bytes).digest('hex'), image.sha256);
        const { format, width, height } = await sharp(bytes).metadata();
        assert.deepEqual([format, width, height], ['webp', 128, 128]);
        assert.equal((await readProvenance(bytes)).workflowId, id);
        seeds.add(image.seed);
      }
    }
    assert.equal(seeds.size, 2 * ORDERS);
    for (const { path } of own.images) assert.equal((await readProvenance(path)).workflowId, own.workflowId);

    // Each once, whole, and nothing else: a picture, its readable name, and the line that says that the store works.
    const names = await s3.server?.objects('pictures');
    const pictures = 2 * ORDERS + own.images.length;
    const blobs = names?.filter((name) => name.startsWith('blobs/')) ?? [];
    assert.equal(blobs.length, pictures);
    assert.equal(names?.length, 2 * pictures + 1, names?.join('\n'));

    // What Prometheus scrapes of the workers that live, and what makes an autoscaler keep them.
    await ready(second);
    assert.match(await scrape(jobs), new RegExp(`^${METRICS.activityDuration.name}_count\\{.* [1-9]`, 'm'));
    const drawn = sumOf(await scrape(second), `${METRICS.images.name}_total`);
    assert.ok(drawn > 0 && drawn <= pictures, `${drawn}`);
    assert.equal(sumOf(await scrape(second), `${METRICS.published.name}_total`), drawn);
    assert.ok(sumOf(await scrape(second), `${METRICS.engineBusy.name}_total`) > 0);

    for (const worker of [jobs, second]) {
      worker.kill('SIGTERM');
      assert.equal(await worker.ended, 0, worker.stderr);
      await worker.leavesNothingBehind();
    }
    await first.leavesNothingBehind();
  } finally {
    for (const worker of workers) worker.kill('SIGKILL');
  }
});

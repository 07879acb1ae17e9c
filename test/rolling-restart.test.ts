import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Command } from './support/command.js';
import { scratchFolder } from './support/scratch.js';
import { startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';

const JOBS = 200;

const scratch = scratchFolder();
const storage = join(scratch, 'storage');
mkdirSync(storage);

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.close());

/** How often each seed was drawn, as the workers' logs have it. */
function drawingsBySeed(workers: readonly Command[]): Map<number, number> {
  const drawings = new Map<number, number>();
  for (const line of workers.flatMap(({ stderr }) => stderr.split('\n'))) {
    if (!line.includes('image drawn')) continue;
    const { seed } = JSON.parse(line) as { seed: number };
    drawings.set(seed, (drawings.get(seed) ?? 0) + 1);
  }
  return drawings;
}

/** Waits until it says so over HTTP. */
async function ready(worker: Command): Promise<void> {
  await worker.says('health server started');
  const [, port] = /"port":(\d+),"msg":"health server started"/.exec(worker.stderr) ?? [];
  await until('the worker is ready', async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
}

test(`workers that are replaced one after the other under a backlog of ${JOBS} jobs lose none and draw none more than twice`, async (t) => {
  const env = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
  const workers: Command[] = [];
  const start = () => {
    const argv = ['worker', '--storage', storage, '--grace', '20', '--health-port', '0'];
    const worker = new Command(argv, { cwd: scratch, env });
    workers.push(worker);
    return worker;
  };
  const replace = async (worker: Command): Promise<Command> => {
    worker.kill('SIGTERM');
    const successor = start();
    assert.equal(await worker.ended, 0, worker.stderr);
    await worker.leavesNothingBehind();
    // A deploy goes on when the new one is ready.
    await ready(successor);
    return successor;
  };
  try {
    const [first, second] = [start(), start()];
    await Promise.all([first, second].map(ready));
    const seeds = Array.from({ length: JOBS }, (_, seed) => seed);
    const jobs = await Promise.all(
      seeds.map((seed) =>
        server.diffusion.generate({ prompt: 'a red heart', width: 64, height: 64, steps: 1, seed }),
      ),
    );
    let done = 0;
    const results = Promise.all(
      jobs.map(async (job) => {
        const result = await job.result();
        done++;
        return result;
      }),
    );
    results.catch(() => {});
    await until('some of the jobs are done', () => done >= JOBS / 10);
    const third = await replace(first);
    const fourth = await replace(second);
    t.diagnostic(`${JOBS - done} jobs were left when both workers had been replaced`);

    const images = (await results).flatMap((result) => result.images);
    assert.deepEqual(
      images.map(({ seed }) => seed),
      seeds,
    );
    const blobs = await readdir(join(storage, 'blobs'));
    assert.equal(blobs.length, JOBS);
    assert.equal(new Set(images.map(({ blobUrl }) => blobUrl)).size, JOBS);

    const drawings = drawingsBySeed(workers);
    const often = [...drawings].filter(([, times]) => times > 1);
    t.diagnostic(`${often.length} images were drawn more than once`);
    assert.equal(drawings.size, JOBS);
    assert.ok(Math.max(...drawings.values()) <= 2, `drawn too often: ${JSON.stringify(often)}`);

    for (const worker of [third, fourth]) {
      worker.kill('SIGTERM');
      assert.equal(await worker.ended, 0, worker.stderr);
      await worker.leavesNothingBehind();
    }
  } finally {
    for (const worker of workers) worker.kill('SIGKILL');
  }
});

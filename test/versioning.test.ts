import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { JobHandle } from '../src/client/job-handle.js';
import { Command, runCommand } from './support/command.js';
import { scratchFolder } from './support/scratch.js';
import { startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';

const scratch = scratchFolder();
const storage = join(scratch, 'pictures');
const deploymentName = 'images';

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.close());

const startWorker = (buildId: string) =>
  new Command(
    ['worker', '--role', 'jobs', '--storage', storage].concat([
      '--deployment',
      deploymentName,
      '--build-id',
      buildId,
      '--versioning',
      'pinned',
    ]),
    { cwd: scratch, env: { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace } },
  );

/** As soon as its worker has been seen. */
const makeCurrent = (buildId: string) =>
  until(`${buildId} is the current version`, async () => {
    const { namespace, client } = server;
    const request = { namespace, deploymentName, buildId, identity: 'test' };
    return client.workflowService.setWorkerDeploymentCurrentVersion(request).then(
      () => true,
      () => false,
    );
  });

async function buildOf({ id }: JobHandle): Promise<string | null | undefined> {
  const { raw } = await server.client.workflow.getHandle(id).describe();
  return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId;
}

test('a job that a pinned build has begun stays with it, and a new one goes to the current build', async () => {
  // Both have a life of their own, as in a roll-out.
  const workers = [startWorker('one')];
  try {
    await makeCurrent('one');
    const first = await server.diffusion.generate({ prompt: 'x', width: 64, height: 64 });
    await until('build one has begun it', async () => (await buildOf(first)) === 'one');
    workers.push(startWorker('two'));
    await makeCurrent('two');
    // There is no GPU, so that it only ends by this: a decision of its own build's.
    await first.cancel();
    await assert.rejects(first.result());
    assert.equal(await buildOf(first), 'one');
    const second = await server.diffusion.generate({ prompt: 'x', width: 1024 });
    await assert.rejects(second.result());
    assert.equal(await buildOf(second), 'two');
  } finally {
    for (const worker of workers) worker.kill('SIGTERM');
    await Promise.all(workers.map(({ ended }) => ended));
  }
});

test('a version needs both of its names', async () => {
  for (const half of [
    ['--build-id', 'x'],
    ['--deployment', 'x'],
    ['--versioning', 'pinned'],
  ]) {
    const { code, stderr } = await runCommand(['worker', '--storage', storage, ...half], { cwd: scratch });
    assert.equal(code, 2, stderr);
    assert.match(stderr, /expected --deployment and --build-id together/);
  }
});

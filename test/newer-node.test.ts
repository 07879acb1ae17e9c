import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { MAIN } from './support/command.js';
import { NO_NEWER_NODE, newerNode } from './support/newer-node.js';
import { EMOJI } from './support/references.js';
import { scratchFolder } from './support/scratch.js';
import { NO_CRIU } from './support/snapshots.js';

/*
 * What newer releases of Node do otherwise: libuv gives each loop an io_uring, which CRIU can't capture, and V8 reserves
 * half a gigabyte a thread.
 */

const scratch = scratchFolder();
let node: string;

function newer(args: readonly string[]) {
  return spawnSync(node, args, { encoding: 'utf8', env: { ...process.env, HOME: scratch } });
}

before(async () => {
  if (!NO_NEWER_NODE) node = await newerNode();
});

test('a newer Node: an engine is captured, and draws its first picture after a restore', {
  skip: NO_NEWER_NODE || NO_CRIU,
}, () => {
  const folder = join(scratch, 'snapshots');
  const created = newer([MAIN, 'snapshot', 'create', '--snapshots', folder, '--threads', '2']);
  assert.equal(created.status, 0, created.stderr);
  assert.match(created.stdout, /first picture \d+ ms after a restore, \d+ ms after a fresh start/);
});

test('a newer Node: an engine with little memory draws', { skip: NO_NEWER_NODE }, async () => {
  const script = join(scratch, 'draw.mjs');
  const ours = (module: string) => JSON.stringify(fileURLToPath(new URL(module, import.meta.url)));
  await writeFile(
    script,
    `import { createEngineHost } from ${ours('../src/gpu/host.js')};
import { pino } from ${ours('../../node_modules/pino/pino.js')};
await using host = createEngineHost({
  ...{ model: 'emoji', checkpoint: ${JSON.stringify(EMOJI)}, device: 'cpu', threads: 1, exclusive: false },
  ...{ cacheFolder: ${JSON.stringify(join(scratch, 'cache'))}, memoryLimitBytes: 700 * 2 ** 20, log: pino({ level: 'silent' }) },
});
const [image] = await host.render({
  items: [{ index: 0, prompt: 'a red apple', width: 64, height: 64, steps: 1, seed: 1 }],
});
console.log(process.version, image.pixels.length);
`,
  );
  const drawn = newer([script]);
  assert.equal(drawn.status, 0, drawn.stderr);
  assert.match(drawn.stdout, /^v26\.\d+\.\d+ 12288$/m);
});

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { gpuEnvironment } from '../../src/gpu/host/engine-process.js';
import { createEngineHost } from '../../src/gpu/host.js';
import { itemsOf, type Lab, MODEL, milliseconds } from './lab.js';
import { type ColdStart, Start } from './results.js';

const run = promisify(execFile);
const PROCESS = fileURLToPath(new URL('cold-process.js', import.meta.url));

/** An engine as a worker starts one, to its first picture; then one more picture. */
export async function coldStart(lab: Lab): Promise<ColdStart> {
  const { checkpoint, device, cacheFolder, threads } = lab;
  const [size = 1024] = lab.sizes;
  const began = performance.now();
  const host = createEngineHost({
    ...{ checkpoint, device, cacheFolder, threads },
    model: MODEL,
    // `keeper-check.ts` is about those.
    keeper: false,
    log: pino({ level: 'silent' }),
  });
  try {
    const since = () => performance.now() - began;
    const [readyMs, firstPictureMs] = await Promise.all([
      host.ready().then(since),
      host.render({ items: itemsOf(size, 1) }).then(since),
    ]);
    const warmMs = await milliseconds(() => host.render({ items: itemsOf(size, 1) }));
    return { readyMs, firstPictureMs, warmMs };
  } finally {
    await host.close();
  }
}

/** The same, but for the socket, in a process that tells its spans. */
export async function tracedStart(lab: Lab): Promise<Start> {
  const folder = await mkdtemp(join(tmpdir(), 'tdiff-traced-'));
  try {
    const file = join(folder, 'start.json');
    await run(process.execPath, [PROCESS, JSON.stringify({ lab, file })], {
      env: { ...process.env, ...gpuEnvironment(lab.cacheFolder) },
    });
    return Start.parse(JSON.parse(await readFile(file, 'utf8')));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

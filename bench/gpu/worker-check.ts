/*
 * The worker's command with the bundled model on a GPU, against a real Temporal server, beside the same on the CPU:
 *
 *   node dist/bench/gpu/worker-check.js --work DIR [--device cuda:0]
 *
 * Needs what `temporal-diffusion doctor --device cuda:0` asks for. A line a case; exit code 1 where one did not hold.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import sharp from 'sharp';
import { z } from 'zod';
import { programFile } from '../../src/gpu/programs/places.js';
import { packageRoot } from '../../src/package-root.js';
import { startServer } from '../server.js';
import { meanDifference } from './difference.js';

const run = promisify(execFile);
const { values } = parseArgs({
  options: { work: { type: 'string' }, device: { type: 'string', default: 'cuda:0' } },
});
if (values.work === undefined) throw new Error('--work: expected a folder');
const work = values.work;
const CLI = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');
const ENGINE = programFile('engine');
/** Of a GPU's half precision to float32, in levels of 255, for a picture of the bundled model. */
const TOLERATED_LEVELS = 4;
const PORT = 8791;
const WITHIN_MS = 60_000;

const Rendered = z.object({ images: z.array(z.object({ url: z.url() }).loose()).min(1) }).loose();

let failures = 0;

async function check(what: string, work: () => Promise<string>): Promise<void> {
  const from = performance.now();
  try {
    const found = await work();
    print(`ok      ${what}: ${found} (${Math.round(performance.now() - from)} ms)`);
  } catch (error) {
    failures++;
    print(`FAILED  ${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function startWorker(address: string, device: string): ChildProcess {
  const storage = join(work, `pictures-${device.replace(':', '-')}`);
  return spawn(
    process.execPath,
    [CLI, 'worker', '--storage', storage, '--device', device, '--start', 'fresh', '--health-port', `${PORT}`],
    { env: { ...process.env, TEMPORAL_ADDRESS: address }, stdio: ['ignore', 'ignore', 'inherit'] },
  );
}

async function untilReady(worker: ChildProcess): Promise<string> {
  const from = performance.now();
  let reason = '';
  while (worker.exitCode === null && performance.now() - from < WITHIN_MS) {
    const answer = await fetch(`http://127.0.0.1:${PORT}/readyz`).catch(() => undefined);
    if (answer?.ok) return 'it can draw';
    reason = (await answer?.text()) ?? reason;
    await sleep(20);
  }
  throw new Error(`the worker is not ready: exit=${worker.exitCode} ${reason}`);
}

async function stopped(worker: ChildProcess): Promise<string> {
  const ended = once(worker, 'close');
  worker.kill('SIGINT');
  const [code, signal] = await ended;
  if (code !== 0) throw new Error(`expected exit code 0, got ${code ?? signal}`);
  return 'exit code 0';
}

/**
 * @param onStep called once, as soon as the command tells of a step
 * @returns the pixels of each picture
 */
async function render(
  address: string,
  out: string,
  { count = 1, steps = 4, onStep = () => {} }: { count?: number; steps?: number; onStep?: () => void } = {},
): Promise<Buffer[]> {
  const argv = ['render', 'a slice of pizza', '--seed', '7', '--json'];
  argv.push('--count', `${count}`, '--steps', `${steps}`);
  const rendering = run(process.execPath, [CLI, ...argv, '--out', join(work, out)], {
    env: { ...process.env, TEMPORAL_ADDRESS: address },
    timeout: WITHIN_MS,
  });
  let told = false;
  rendering.child.stderr?.on('data', (text: string) => {
    if (told || !/step 1/.test(text)) return;
    told = true;
    onStep();
  });
  const { images } = Rendered.parse(JSON.parse((await rendering).stdout));
  return Promise.all(images.map(({ url }) => sharp(fileURLToPath(url)).removeAlpha().raw().toBuffer()));
}

async function engines(): Promise<number[]> {
  const { stdout } = await run('pgrep', ['-f', ENGINE]).catch(() => ({ stdout: '' }));
  return stdout.split('\n').filter(Boolean).map(Number);
}

async function same(
  pictures: readonly Buffer[],
  expected: readonly Buffer[],
  levels: number,
): Promise<string> {
  const off = pictures.map((picture, index) => meanDifference(picture, expected[index] ?? Buffer.alloc(0)));
  const worst = Math.max(...off);
  if (pictures.length !== expected.length || !(worst <= levels)) {
    throw new Error(
      `expected ${expected.length} pictures within ${levels} levels, got ${pictures.length}, ${worst} off`,
    );
  }
  return `${pictures.length} pictures, ${worst.toFixed(3)} levels off at most`;
}

await mkdir(work, { recursive: true });
const server = await startServer(() => import('@temporalio/worker'));
const { address } = server;
let reference: Buffer[] = [];
try {
  let worker = startWorker(address, 'cpu');
  await check('a worker on the CPU', () => untilReady(worker));
  await check('4 pictures on the CPU', async () => {
    reference = await render(address, 'cpu', { count: 4 });
    return `${reference.length} pictures`;
  });
  await check('that worker is stopped', () => stopped(worker));

  worker = startWorker(address, values.device);
  await check(`a worker on ${values.device}`, () => untilReady(worker));
  await check('its pictures are those of the CPU', async () => {
    return same(await render(address, 'gpu', { count: 4 }), reference, TOLERATED_LEVELS);
  });
  await check('one picture', async () =>
    same(await render(address, 'one'), reference.slice(0, 1), TOLERATED_LEVELS),
  );
  await check('the engine is killed in the middle: the same pixels', async () => {
    // Long enough to be still under way when its first step is heard of.
    const long = { count: 16, steps: 50 };
    const undisturbed = await render(address, 'undisturbed', long);
    const before = await engines();
    const kill = () => {
      for (const engine of before) process.kill(engine, 'SIGKILL');
    };
    const pictures = await render(address, 'killed', { ...long, onStep: kill });
    const after = await engines();
    if (before.length !== 1 || after.length !== 1 || before[0] === after[0]) {
      throw new Error(`expected another engine to have ended the job: ${before} before, ${after} after`);
    }
    return same(pictures, undisturbed, 0);
  });
  await check('it is ready again', () => untilReady(worker));
  await check('the worker is stopped', () => stopped(worker));
  await check('no engine is left', async () => {
    const left = await engines();
    if (left.length > 0) throw new Error(`expected none, got ${left.join(', ')}`);
    return 'none';
  });
} finally {
  await server.close();
}
process.exit(failures > 0 ? 1 : 0);

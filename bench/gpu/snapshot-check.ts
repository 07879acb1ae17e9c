/*
 * Captures an engine on a GPU without its weights, restores it, and prints a line a step with its milliseconds:
 *
 *   npm run build && node dist/bench/gpu/snapshot-check.js --work /dev/shm/tdiff --shape tiny
 *   node dist/bench/gpu/snapshot-check.js --work /dev/shm/tdiff --shape 9b [--restores 5] [--cases driver,capture,restore]
 *
 * As root, with CRIU on the PATH or in the package's cache. The checkpoint of random weights is made where it is not
 * there; `--checkpoint DIR` takes another one. `--device memory` goes through all of it with memory of the engine in the
 * place of a GPU. Cases:
 *
 *   fresh    an engine that loads its model, to its first picture
 *   driver   the driver's checkpoint and restore of a living engine, without CRIU
 *   capture  the same, then CRIU
 *   restore  from that image, to the first picture
 *   keeper   both ways to start, with a keeper that is started at the same time, and with one that has the weights
 *   no-room  restores where others have the device's memory: refused before, and killed where that is not looked at
 *
 * Every step has a deadline; what the kernel and CRIU say of one that failed is printed. Ends with 1 where one did.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { pino } from 'pino';
import { cacheFolder as projectCache } from '../../src/cli/cache-folder.js';
import { EngineMessage, type ParentMessage } from '../../src/gpu/engine/protocol.js';
import { encodeFrame, readFrames } from '../../src/gpu/frames.js';
import { EngineConnection } from '../../src/gpu/host/engine-connection.js';
import { type EngineProcess, FreshProcess } from '../../src/gpu/host/engine-process.js';
import { ensureKeeper } from '../../src/gpu/host/keeper-process.js';
import { KeeperConnection } from '../../src/gpu/keeper/client.js';
import { type KeeperPlace, keeperPlace } from '../../src/gpu/keeper/place.js';
import { gpuIndexOf } from '../../src/gpu/runtime/gpu-index.js';
import { captureSnapshot, IMAGES, warmUpOf } from '../../src/gpu/snapshot/capture.js';
import { CheckpointHelper } from '../../src/gpu/snapshot/checkpoint-helper.js';
import { type Criu, findCriu, innerPid } from '../../src/gpu/snapshot/criu.js';
import { EngineGpu } from '../../src/gpu/snapshot/engine-gpu.js';
import { identityOf, slotOf } from '../../src/gpu/snapshot/identity.js';
import { type SnapshotManifest, sizeOf } from '../../src/gpu/snapshot/manifest.js';
import { CapturableProcess } from '../../src/gpu/snapshot/processes.js';
import { requirements } from '../../src/gpu/snapshot/requirements.js';
import { SnapshotStarter, type SnapshotStarterOptions } from '../../src/gpu/snapshot/starter.js';
import { openSnapshotStore } from '../../src/gpu/snapshot/store.js';
import { Unusable } from '../../src/gpu/snapshot/unusable.js';
import { packageRoot } from '../../src/package-root.js';
import type { CheckpointProcess } from '../../test/support/checkpoint-process-options.js';
import { meanDifference } from './difference.js';
import { fillDevice } from './engines.js';

const run = promisify(execFile);

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    shape: { type: 'string', default: 'tiny' },
    checkpoint: { type: 'string' },
    device: { type: 'string', default: 'cuda:0' },
    restores: { type: 'string', default: '3' },
    /** More options of CRIU's. */
    criu: { type: 'string' },
    cases: { type: 'string', default: 'fresh,driver,capture,restore,keeper,no-room' },
    /** Seconds of one step, and of everything. */
    patience: { type: 'string', default: '90' },
    limit: { type: 'string', default: '420' },
    verbose: { type: 'boolean', default: false },
  },
});
if (values.work === undefined) throw new Error('expected --work FOLDER, with room for checkpoint and images');
const work = values.work;
const isDry = values.device === 'memory';
const index = gpuIndexOf(values.device) ?? 0;
const patienceMs = Number(values.patience) * 1000;
const log = pino({ level: values.verbose ? 'debug' : 'silent' }, pino.destination(2));
const began = performance.now();

let failures = 0;
let current = 'start';
/** The engine that is at work, for whoever looks why it does not answer. */
let engineAtWork: { readonly pid: number | undefined; readonly folder: string } | undefined;

function print(line: string): void {
  const seconds = ((performance.now() - began) / 1000).toFixed(2).padStart(7);
  process.stdout.write(`${seconds}  ${line}\n`);
}

const whole = setTimeout(() => {
  print(`FAIL  stopped after ${values.limit} s, in: ${current}`);
  void diagnose().finally(() => process.exit(1));
}, Number(values.limit) * 1000);

/** Does a step; prints when it begins and what it took. */
async function step<T>(name: string, work: () => Promise<T>, tell?: (value: T) => string): Promise<T> {
  current = name;
  print(`…     ${name}`);
  const from = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${values.patience} s`)), patienceMs);
  });
  try {
    const value = await Promise.race([work(), late]);
    print(`ok    ${name}: ${Math.round(performance.now() - from)} ms${tell ? `, ${tell(value)}` : ''}`);
    return value;
  } catch (error) {
    print(`FAIL  ${name} after ${Math.round(performance.now() - from)} ms: ${messageOf(error)}`);
    // As long as there is something to look at.
    await diagnoseOnce();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** A case goes wrong by itself. */
async function attempt(name: string, work: () => Promise<void>): Promise<boolean> {
  print(`== ${name}`);
  isDiagnosed = false;
  try {
    await work();
    return true;
  } catch (error) {
    failures++;
    if (values.verbose) print(String(error instanceof Error ? error.stack : error));
    await diagnoseOnce();
    return false;
  }
}

let isDiagnosed = false;
async function diagnoseOnce(): Promise<void> {
  if (isDiagnosed) return;
  isDiagnosed = true;
  await diagnose().catch((reason: unknown) => print(`no diagnosis: ${messageOf(reason)}`));
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${error.name}: ${error.message}${cause}`;
}

/** What CRIU could not capture or restore, as far as the kernel shows it. */
async function diagnose(): Promise<void> {
  const pid = engineAtWork?.pid;
  const folder = engineAtWork?.folder;
  if (pid !== undefined && existsSync(`/proc/${pid}`)) await describeProcess(pid, true);
  if (folder !== undefined) await tail(join(folder, 'restore.log'));
  await tail(join(captureFolder, IMAGES, 'dump.log'));
  await sh("dmesg 2>/dev/null | grep -iE 'nvrm|nvidia|xid|criu|segfault|killed' | tail -n 15");
}

async function tail(file: string, lines = 40): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  print(`--- last lines of ${file}`);
  for (const line of text.trimEnd().split('\n').slice(-lines)) print(`    ${line}`);
}

async function sh(command: string): Promise<void> {
  const { stdout } = await run('sh', ['-c', command], { timeout: 10_000 }).catch(() => ({ stdout: '' }));
  if (stdout.trim() === '') return;
  print(`--- ${command}`);
  for (const line of stdout.trimEnd().split('\n')) print(`    ${line}`);
}

/** Devices that a process has mapped or open, and what its threads wait for. */
async function describeProcess(pid: number, isFull = false): Promise<void> {
  const maps = await readFile(`/proc/${pid}/maps`, 'utf8').catch(() => '');
  const odd = maps
    .split('\n')
    .filter((line) => /\/dev\/|\(deleted\)|memfd|anon_inode|\/run\//.test(line) && !/\/dev\/shm/.test(line));
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
  const targets = await Promise.all(
    descriptors.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => 'gone')),
  );
  const counts = new Map<string, number>();
  for (const target of targets) {
    const kind = target.replace(/\[\d+\]$/, '[]');
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const facts = ['State', 'NSpid', 'Threads', 'VmRSS', 'RssAnon', 'VmSize'].map((name) =>
    new RegExp(`^${name}:.*$`, 'm').exec(status)?.[0]?.replace(/\s+/g, ' '),
  );
  print(`    process ${pid}: ${facts.filter(Boolean).join(', ')}`);
  print(`    open: ${[...counts].map(([kind, count]) => `${count} ${kind}`).join(', ')}`);
  print(`    odd mappings: ${odd.length}`);
  for (const line of odd.slice(0, isFull ? 40 : 8)) print(`      ${line.replace(/\s+/g, ' ')}`);
  if (isFull) {
    await sh(
      `for t in /proc/${pid}/task/*; do echo "$(cat $t/comm) $(cat $t/wchan 2>/dev/null) $(sed -n 's/^State:[[:space:]]*//p' $t/status)"; done | sort | uniq -c`,
    );
  }
}

const megabytes = (bytes: number | undefined) =>
  bytes === undefined ? 'unknown' : `${(bytes / 1e6).toFixed(0)} MB`;

/** Of the device, as the driver's own tool would tell. */
async function freeMemory(helper: CheckpointHelper): Promise<string> {
  const { freeBytes } = await helper.device(index);
  return `${megabytes(freeBytes)} of device memory free`;
}

const checkpointProcess = (options: CheckpointProcess) => [
  process.execPath,
  support('checkpoint-process'),
  JSON.stringify(options),
];
const support = (name: string) => fileURLToPath(new URL(`../../test/support/${name}.js`, import.meta.url));
const programs = isDry
  ? { engine: support('memory-engine-process'), helper: [process.execPath, support('checkpoint-process')] }
  : {};

async function checkpointFolder(): Promise<string> {
  if (values.checkpoint !== undefined) return values.checkpoint;
  if (isDry) return join(packageRoot(), 'models', 'emoji');
  const folder = join(work, `klein-${values.shape}`);
  if (existsSync(join(folder, 'model_index.json'))) return folder;
  const shape = values.shape === 'tiny' ? ['--tiny'] : ['--shape', values.shape];
  const script = join(packageRoot(), 'bench', 'gpu', 'make_checkpoint.py');
  await step(`make a checkpoint of shape ${values.shape}`, () => run('python3', [script, folder, ...shape]));
  return folder;
}

await mkdir(work, { recursive: true });
const cacheFolder = join(work, 'cache');
const captureFolder = join(work, 'capture');
const checkpoint = await checkpointFolder();
const engine = {
  checkpoint,
  model: 'klein',
  device: `cuda:${index}`,
  threads: availableParallelism(),
  cacheFolder,
} as const;

const PATIENCE = { stallMs: patienceMs, cancelGraceMs: patienceMs, onLost: () => {} };

/** Milliseconds from its start to the first picture, of every kind of start. */
const firstPictures = new Map<string, number[]>();

/** Greets an engine and draws two pictures. @returns the first one's pixels */
async function draw(process: EngineProcess, since: number, name: string): Promise<Buffer> {
  engineAtWork = process;
  const sinceStart = () => `${Math.round(performance.now() - since)} ms since its start`;
  const connection = await step(
    `${name}: ready`,
    () => EngineConnection.greet(process, performance.now() + patienceMs, PATIENCE),
    sinceStart,
  );
  const items = warmUpOf(connection.hello.model);
  const [first] = await step(`${name}: first picture`, () => connection.render({ items }), sinceStart);
  const kind = name.replace(/ \d+$/, '');
  firstPictures.set(kind, [...(firstPictures.get(kind) ?? []), performance.now() - since]);
  await step(`${name}: second picture`, () => connection.render({ items }));
  if (!first) throw new Error('expected a picture');
  return first.pixels;
}

let expected: Buffer | undefined;

/** A GPU's libraries choose among kernels anew in every process, so two engines are of one mind but for roundings. */
function compare(pixels: Buffer): void {
  if (!expected) return;
  const difference = meanDifference(pixels, expected);
  const isSame = pixels.equals(expected);
  const isGood = isDry ? isSame : difference < ROUNDINGS;
  if (!isGood) failures++;
  const what = isSame ? 'the same' : `off by ${difference.toFixed(2)} levels in the mean`;
  print(`${isGood ? 'ok  ' : 'FAIL'}  pixels are ${what}`);
}
const ROUNDINGS = 2;

const helpers: CheckpointHelper[] = [];
async function openHelper(): Promise<CheckpointHelper> {
  const helper = await CheckpointHelper.start(programs.helper);
  helpers.push(helper);
  return helper;
}

function freshEngine(more: { readonly keeper?: string } = {}): Promise<FreshProcess> {
  return FreshProcess.spawn({
    arguments: { ...engine, ...more, logLevel: 'warn' },
    program: programs.engine,
    log,
  });
}

async function fresh(): Promise<void> {
  // The first one builds graphs and digests, which others find.
  for (const name of ['first engine', 'fresh engine']) {
    const since = performance.now();
    const process = await freshEngine();
    try {
      const pixels = await draw(process, since, name);
      compare(pixels);
      expected = pixels;
    } finally {
      await step(`${name}: end`, () => process.kill());
    }
  }
}

/** A conversation without a host: messages in, messages out. */
async function converse(process: EngineProcess) {
  const socket = await process.connect(performance.now() + patienceMs);
  const frames = readFrames(socket);
  const hear = async (type: EngineMessage['type']) => {
    for (;;) {
      const frame = await frames.next();
      if (frame.done) throw new Error(`the engine said no ${type}`);
      const message = EngineMessage.parse(frame.value.header);
      if (message.type === type) return message;
      if (message.type === 'failed') throw new Error(`the engine failed: ${message.message}`);
    }
  };
  const say = (message: ParentMessage) => {
    for (const part of encodeFrame(message)) socket.write(part);
  };
  return { hear, say, close: () => socket.destroy() };
}

/** Whom the driver takes a process's number from is not documented: ours, or that inside of its namespace? */
async function driverOnly(): Promise<void> {
  const helper = await openHelper();
  const process = await CapturableProcess.spawn({
    criu,
    arguments: { ...engine, logLevel: 'warn' },
    program: programs.engine,
    log,
  });
  engineAtWork = process;
  try {
    const { hear, say, close } = await converse(process);
    const hello = await step('engine to be captured: ready', () => hear('hello'));
    if (hello.type !== 'hello') return;
    const pid = process.pid ?? 0;
    say({ type: 'render', id: 1, items: warmUpOf(hello.model), previews: false });
    await step('engine to be captured: picture', () => hear('done'));
    print(`    ${await freeMemory(helper)}`);
    say({ type: 'prepare' });
    await step('engine to be captured: prepared', () => hear('prepared'));
    close();
    print(`    ${await freeMemory(helper)}`);
    await describeProcess(pid);
    let [caller, number] = [helper, pid];
    await step('state by its number here', () => helper.state(pid), String).catch(async () => {
      const inner = await innerPid(pid);
      const inside = await CheckpointHelper.start(programs.helper, pid);
      helpers.push(inside);
      await step('state by its number inside', () => inside.state(inner), String);
      [caller, number] = [inside, inner];
    });
    await step('lock', () => caller.lock(number));
    await step('checkpoint', () => caller.checkpoint(number, patienceMs));
    print(`    ${await freeMemory(helper)}, ${await caller.state(number)}`);
    await describeProcess(pid);
    await step('restore', () => caller.restore(number, patienceMs));
    await step('unlock', () => caller.unlock(number));
    print(`    ${await freeMemory(helper)}, ${await caller.state(number)}`);
    const again = await converse(process);
    again.say({ type: 'wake', startedAt: Date.now(), logLevel: 'warn' });
    await step('engine woken', () => again.hear('hello'));
    again.say({ type: 'render', id: 2, items: warmUpOf(hello.model), previews: false });
    await step('engine woken: picture', () => again.hear('done'));
    print(`    ${await freeMemory(helper)}`);
  } finally {
    await step('engine to be captured: end', () => process.kill());
    await helper.close();
  }
}

const store = openSnapshotStore({ cacheFolder, log });

async function capture(): Promise<void> {
  const helper = await openHelper();
  await step(
    'the driver’s helper',
    () => helper.device(index),
    (facts) => JSON.stringify(facts),
  );
  const gpu = new EngineGpu(index, programs.helper);
  const identity = await step('identity', () => identityOf(engine, gpu.kind()));
  let since = performance.now();
  const build = async (folder: string): Promise<SnapshotManifest> => {
    // Not the store's own folder, which is removed where a capture fails.
    await rm(captureFolder, { recursive: true, force: true });
    await mkdir(captureFolder, { mode: 0o700 });
    const manifest = await captureSnapshot(captureFolder, {
      ...{ criu, engine, identity, log },
      program: programs.engine,
      gpu,
      digests: store.digests,
      timeoutMs: patienceMs,
      async onStage(stage, pid) {
        current = `capture, after: ${stage}`;
        engineAtWork = { pid, folder: captureFolder };
        print(`ok    capture: ${stage}, ${Math.round(performance.now() - since)} ms`);
        if (stage === 'prepared' || stage === 'checkpointed') {
          print(`    ${await freeMemory(helper)}`);
          await describeProcess(pid);
        }
        since = performance.now();
      },
    });
    await rm(folder, { recursive: true });
    await run('mv', [captureFolder, folder]);
    return manifest;
  };
  try {
    const manifest = await step('capture', () => store.make(slotOf(identity), build, { replace: true }));
    if (!manifest) return;
    const { anonymousBytes, mappedBytes, copiedBytes } = manifest.memory;
    print(
      `    images ${megabytes(sizeOf(manifest))}: mapped ${megabytes(mappedBytes)}, copied ${megabytes(copiedBytes)}; the engine had ${megabytes(anonymousBytes)} of its own, ${megabytes(manifest.gpu?.ownBytes)} on the device`,
    );
    for (const [name, { bytes }] of Object.entries(manifest.images)) {
      if (bytes > 1e6) print(`      ${name}: ${megabytes(bytes)}`);
    }
    print(`    mapped files: ${Object.keys(manifest.mappedFiles).length}`);
  } finally {
    await gpu.close();
    await helper.close();
  }
}

async function restore(): Promise<void> {
  for (let round = 1; round <= Number(values.restores); round++) {
    const name = `restore ${round}`;
    const since = performance.now();
    const starter = new SnapshotStarter({
      ...{ mode: 'snapshot', engine, criu, store, programs, log, restoreTimeoutMs: patienceMs },
      onStage(stage) {
        current = `${name}, after: ${stage}`;
        print(`ok    ${name}: ${stage}, ${Math.round(performance.now() - since)} ms since its start`);
      },
    });
    const restored = await step(`${name}: begun`, () => starter.restore());
    const { process: restoring } = restored;
    const watch = watchLog(join(restoring.folder, 'restore.log'));
    try {
      compare(await draw(restoring, since, name));
    } catch (error) {
      await watch.print();
      throw error;
    } finally {
      watch.stop();
      await step(`${name}: end`, () => restoring.kill());
    }
  }
}

/** What a worker does: a keeper is found or started, an engine beside it. */
async function keeper(): Promise<void> {
  const place = keeperPlace(engine.device, { folder: await privateFolder(join(work, 'keepers')) });
  const ensure = () =>
    ensureKeeper({
      ...{ place, index, keepSeconds: 120, logLevel: 'info' },
      prepare: { checkpoint, model: engine.model, cacheFolder },
      ...(isDry && { program: { file: support('memory-keeper-process'), rest: ['{}'] } }),
    });
  try {
    for (let round = 1; round <= Number(values.restores); round++) {
      for (const kind of ['fresh', 'restored']) {
        await endKeeper(place);
        for (const state of ['with a keeper that starts too', 'with a keeper that has the weights']) {
          const name = `${kind}, ${state} ${round}`;
          const since = performance.now();
          await ensure();
          const process = await (kind === 'fresh'
            ? freshEngine({ keeper: place.socket })
            : starterFor(name, programs)
                .restore({ keeper: place.socket })
                .then((begun) => begun.process));
          try {
            compare(await draw(process, since, name));
          } finally {
            await step(`${name}: end`, () => process.kill());
          }
        }
      }
    }
  } catch (error) {
    await tail(place.logFile);
    throw error;
  } finally {
    await endKeeper(place);
  }
}

async function privateFolder(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

async function endKeeper(place: KeeperPlace): Promise<void> {
  const connection = await KeeperConnection.open(place.socket, { deadline: 0 }).catch(() => undefined);
  if (!connection) return;
  const { pid } = await connection.stats();
  process.kill(pid, 'SIGKILL');
  await gone(pid);
}

/** Another process has almost all of the device's memory. */
async function noRoom(): Promise<void> {
  const ballast = isDry
    ? undefined
    : await step(
        'ballast',
        () => fillDevice(index, 200),
        (held) => held.told,
      );
  const helper = (options: CheckpointProcess) => (isDry ? { helper: checkpointProcess(options) } : {});
  try {
    const starter = starterFor('no room', { ...programs, ...helper({ freeBytes: 1000 }) });
    const refused = await step('a restore that has no room: begun', () => starter.restore());
    const told = await step(
      'a restore that has no room is refused',
      () => refusal(EngineConnection.greet(refused.process, refused.deadline, PATIENCE)),
      String,
    );
    await refused.process.kill();
    if (!(told instanceof Unusable) || told.reason !== 'no-room') throw new Error('expected no-room');

    const [slot] = await readdir(join(cacheFolder, 'snapshots')).then((names) =>
      names.filter((name) => name.startsWith('klein-')),
    );
    const file = join(cacheFolder, 'snapshots', slot ?? '', 'manifest.json');
    const manifest = await readFile(file, 'utf8');
    const { gpu, ...rest } = JSON.parse(manifest) as SnapshotManifest;
    await writeFile(file, JSON.stringify({ ...rest, gpu: { uuid: gpu?.uuid } }));
    try {
      const unwary = starterFor('no room', { ...programs, ...helper({ hangsAt: 'restore' }) }, HANG_MS);
      const restored = await step('one that does not know: begun', () => unwary.restore());
      engineAtWork = restored.process;
      const error = await step(
        'one that does not know: ended',
        () => refusal(EngineConnection.greet(restored.process, restored.deadline, PATIENCE)),
        messageOf,
      );
      const { pid } = restored.process;
      print(`    counted as ${(await restored.failed(error)).reason}`);
      if (pid !== undefined) await describeProcess(pid);
      await step('one that does not know: killed', () => restored.process.kill());
      await step('one that does not know: gone', () => gone(pid));
    } finally {
      await writeFile(file, manifest);
    }
  } finally {
    await ballast?.[Symbol.asyncDispose]();
  }
}

const HANG_MS = 6_000;

function starterFor(
  name: string,
  those: SnapshotStarterOptions['programs'] = {},
  restoreTimeoutMs = patienceMs,
) {
  return new SnapshotStarter({
    ...{ mode: 'snapshot', engine, criu, store, programs: those, log, restoreTimeoutMs },
    onStage: (stage) => print(`ok    ${name}: ${stage}`),
  });
}

/** Resolves when a process has ended, whoever has asked about it by now. */
async function gone(pid: number | undefined): Promise<void> {
  for (;;) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
    if (status === '' || /^State:\s+[ZX]/m.test(status)) return;
    await sleep(20);
  }
}

/** What it is rejected with. */
async function refusal(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {
      throw new Error('expected it to fail');
    },
    (error: unknown) => error,
  );
}

/** A log whose folder goes with the process that it is about. */
function watchLog(file: string) {
  let text = '';
  const timer = setInterval(async () => {
    text = await readFile(file, 'utf8').catch(() => text);
  }, 50);
  return {
    stop: () => clearInterval(timer),
    async print() {
      if (text === '') return;
      print(`--- last lines of ${file}`);
      for (const line of text.trimEnd().split('\n').slice(-40)) print(`    ${line}`);
    },
  };
}

const cases: Record<string, () => Promise<void>> = {
  fresh,
  driver: driverOnly,
  capture,
  restore,
  keeper,
  'no-room': noRoom,
};

const found = (await findCriu(projectCache())) ?? (await findCriu(''));
print(`kernel ${release()}, node ${process.versions.node}, CRIU ${found?.version ?? 'missing'}`);
for (const { name, isMet, found: what } of await requirements(projectCache())) {
  if (!isMet) print(`lacks ${name}: ${what}`);
}
if (!found) throw new Error('expected CRIU on the PATH, or in the cache');
let criu: Criu = { ...found, options: values.criu?.split(' ').filter(Boolean) ?? [] };
await sh('nvidia-smi --query-gpu=name,driver_version,memory.used,persistence_mode --format=csv,noheader');
for (const name of values.cases.split(',')) {
  const work = cases[name];
  if (!work) throw new Error(`--cases: expected some of ${Object.keys(cases).join(', ')}, got ${name}`);
  const isDone = await attempt(name, work);
  engineAtWork = undefined;
  if (isDone || name !== 'capture') continue;
  // What CRIU refuses by itself it may do when it is told to.
  criu = { ...criu, options: ['--ext-unix-sk', '--file-locks', '--link-remap', '-v3'] };
  if (!(await attempt(`capture, CRIU with ${criu.options?.join(' ')}`, work))) break;
}
clearTimeout(whole);
for (const helper of helpers) await helper.close();
for (const [kind, times] of firstPictures) {
  print(`first picture, ${kind}: ${times.map((ms) => Math.round(ms)).join(', ')} ms`);
}
print(failures === 0 ? 'all is well' : `${failures} failed`);
process.exit(failures === 0 ? 0 : 1);

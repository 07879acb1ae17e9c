import { availableParallelism } from 'node:os';
import { z } from 'zod';
import { parse } from '../contract/parse.js';
import { ModelName } from '../contract/request.js';
import { DeviceName } from '../gpu/engine/device-name.js';
import { deviceLockFile } from '../gpu/host/device-lock.js';
import { keeperBeside } from '../gpu/host/keeper-beside.js';
import { weightOptionsFor } from '../gpu/runtime/weight-options.js';
import { type SnapshotManifest, sizeOf } from '../gpu/snapshot/manifest.js';
import { SnapshotStarter } from '../gpu/snapshot/starter.js';
import { type ListedSnapshot, openSnapshotStore, type SnapshotStore } from '../gpu/snapshot/store.js';
import { numberOf, parseArguments } from './arguments.js';
import { bundledModel } from './bundled-model.js';
import { cacheFolder } from './cache-folder.js';
import { onInterrupt } from './interrupt.js';
import { createLog } from './log.js';
import { UsageError } from './usage-error.js';

export const SNAPSHOT_HELP = `temporal-diffusion snapshot create|list|verify|prune [options]

Engines that are captured once, loaded and warm, and from which workers start in a tenth of a second.

  create               captures an engine, and measures how fast both ways to start are on this host
  list                 tells what snapshots there are, of what, and what was measured
  verify               reads every byte of every snapshot; exit code 1 where one is damaged
  prune                removes old ones; what a living engine came from stays

  --snapshots DIR      where they are (default: in this package's cache folder)
  --json               for programs

create:
  --model NAME         the model (default: emoji)
  --checkpoint DIR     that model's folder (default: the one that comes with this package)
  --device DEVICE      cpu (default), or the GPU of that number: cuda:0; no worker may run on it meanwhile
  --threads N          threads of the CPU runtime (default: all); a worker needs the same
  --stream-buffer MIB, --host-cache GIB
                       how weights get to a GPU; a worker needs the same
  --keeper on|off      whether a worker has a keeper of a GPU's weights: it is then measured with one (default: on)
  --replace            also where there is one already

prune:
  --older-than DAYS    those that were not used for so long (default: 30)
  --larger-than MB     those that were not used for longest, until all together are no larger (default: no limit)
`;

const ACTIONS = ['create', 'list', 'verify', 'prune'] as const;

const MIB = 2 ** 20;
const GIB = 2 ** 30;

const Options = z.object({
  action: z.enum(ACTIONS, `expected one of ${ACTIONS.join(', ')}`),
  model: ModelName.default('emoji'),
  checkpoint: z.string().optional(),
  device: DeviceName.default('cpu'),
  threads: z.int().min(1).max(1024).optional(),
  'stream-buffer': z.int().min(1).max(65_536).optional(),
  'host-cache': z.number().positive().max(65_536).optional(),
  keeper: z.enum(['on', 'off']).default('on'),
  olderThan: z.number().nonnegative().default(30),
  largerThan: z.number().nonnegative().optional(),
});
type Options = z.output<typeof Options>;

const DAY_MS = 86_400_000;

/** `temporal-diffusion snapshot`: makes and keeps what workers start from. */
export async function snapshot(argv: readonly string[]): Promise<void> {
  const names = [
    ...(['model', 'checkpoint', 'device', 'threads', 'stream-buffer', 'host-cache', 'keeper'] as const),
    ...(['snapshots', 'older-than', 'larger-than'] as const),
  ];
  const { texts, flags, positionals } = parseArguments(argv, names, ['json', 'replace', 'verbose']);
  const [action, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(`expected one action, got ${positionals.join(' ')}`);
  const options = parse(Options, {
    ...texts,
    action,
    threads: numberOf(texts.threads),
    'stream-buffer': numberOf(texts['stream-buffer']),
    'host-cache': numberOf(texts['host-cache']),
    olderThan: numberOf(texts['older-than']),
    largerThan: numberOf(texts['larger-than']),
  });
  const log = createLog(flags.has('verbose') ? 'debug' : 'warn');
  const store = openSnapshotStore({ cacheFolder: cacheFolder(), folder: texts.snapshots, log });
  const print = flags.has('json')
    ? (facts: unknown, _text: string) => process.stdout.write(`${JSON.stringify(facts, null, 2)}\n`)
    : (_facts: unknown, text: string) => process.stdout.write(text);
  switch (options.action) {
    case 'create':
      return create(store, options, flags.has('replace'), log, print);
    case 'list': {
      const listed = await store.list();
      return void print(listed, listed.map(describe).join('') || 'no snapshots\n');
    }
    case 'verify':
      return verify(store, print);
    case 'prune': {
      const { olderThan, largerThan } = options;
      const removed = await store.prune({
        maxAgeMs: olderThan * DAY_MS,
        ...(largerThan !== undefined && { maxBytes: largerThan * 1e6 }),
      });
      const bytes = removed.reduce((sum, snapshot) => sum + snapshot.bytes, 0);
      return void print(removed, `${removed.length} removed, ${megabytes(bytes)}\n`);
    }
  }
}

type Print = (facts: unknown, text: string) => void;

async function create(
  store: SnapshotStore,
  options: Options,
  replace: boolean,
  log: ReturnType<typeof createLog>,
  print: Print,
): Promise<void> {
  const { model, checkpoint, device, threads = availableParallelism() } = options;
  const weights = weightOptionsFor(device, {
    ...(options['stream-buffer'] !== undefined && { streamBufferBytes: options['stream-buffer'] * MIB }),
    ...(options['host-cache'] !== undefined && { hostCacheBytes: Math.ceil(options['host-cache'] * GIB) }),
  });
  const engine = {
    checkpoint: checkpoint ?? bundledModel(model),
    ...{ model, device, threads, weights },
    cacheFolder: cacheFolder(),
  };
  const lockFile = deviceLockFile(engine);
  const starter = new SnapshotStarter({
    ...{ mode: 'auto', engine, store, log },
    ...(lockFile !== undefined && { lockFile }),
    ...(options.keeper === 'on' && { keeper: () => keeperBeside({ ...engine, log }) }),
  });
  const interruption = onInterrupt();
  try {
    const made = await starter.create({ wait: true, replace, measure: true, signal: interruption.signal });
    if (!made)
      throw new Error(
        'the snapshot that is there is disabled, since it failed too often: make it anew with --replace',
      );
    const [listed] = (await store.list()).filter(({ slot }) => slot === made.slot);
    if (listed) print(listed, describe(listed));
  } finally {
    interruption.dispose();
  }
}

async function verify(store: SnapshotStore, print: Print): Promise<void> {
  const results: { slot: string; problem: string | undefined }[] = [];
  for (const { slot, isSetAside } of await store.list()) {
    if (isSetAside) continue;
    const problem = await store.verify(slot).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    results.push({ slot, problem });
  }
  print(
    results,
    results.map(({ slot, problem }) => `${slot}  ${problem ?? 'as it was captured'}\n`).join('') ||
      'no snapshots\n',
  );
  // The next worker sets those aside.
  if (results.some(({ problem }) => problem !== undefined)) process.exitCode = 1;
}

/** A few lines on one snapshot. */
function describe({
  slot,
  bytes,
  manifest,
  experience,
  problem,
  isSetAside,
  folder,
}: ListedSnapshot): string {
  const lines = [`${slot}  ${megabytes(bytes)}${isSetAside ? '  set aside' : ''}`];
  if (manifest) lines.push(...describeManifest(manifest));
  const measured = experience?.measured;
  if (measured) {
    const ratio = (measured.freshMs / measured.restoredMs).toFixed(1);
    lines.push(
      `first picture ${measured.restoredMs} ms after a restore, ${measured.freshMs} ms after a fresh start: ${ratio} ×`,
    );
  }
  if (experience?.usedAt) lines.push(`last used ${experience.usedAt}`);
  if (experience && experience.failures > 0)
    lines.push(`failed ${experience.failures} times: ${experience.lastFailure ?? ''}`);
  if (problem !== undefined) lines.push(`not used: ${problem}`);
  lines.push(folder);
  return `${lines.join('\n  ')}\n`;
}

function describeManifest(manifest: SnapshotManifest): string[] {
  const { identity, capturedAt, memory, criu, kernel, glibc } = {
    ...manifest,
    kernel: manifest.identity.kernel,
  };
  const { versions } = identity;
  return [
    `model ${identity.model}, digest ${identity.modelDigest.slice(0, 12)}, ${identity.device}, ${identity.threads} threads`,
    `captured ${capturedAt} with CRIU ${criu}: ${megabytes(sizeOf(manifest))}, of which ${megabytes(memory.copiedBytes)} are copied at a restore`,
    ...describeGpu(manifest),
    `temporal-diffusion ${versions.package}, Node ${versions.node}, onnxruntime ${versions.onnxruntime}, Linux ${kernel}, glibc ${glibc}, ${identity.cpu.model}`,
  ];
}

function describeGpu({ identity, gpu }: SnapshotManifest): string[] {
  if (!identity.gpu) return [];
  const own =
    gpu?.ownBytes === undefined ? '' : `, ${megabytes(gpu.ownBytes)} of its memory beside the weights`;
  return [`${identity.gpu.name}, driver ${identity.gpu.driver}${own}`];
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

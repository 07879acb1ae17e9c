import { z } from 'zod';
import { parse } from '../contract/parse.js';
import { ModelName } from '../contract/request.js';
import { DeviceName } from '../gpu/engine/device-name.js';
import { START_MODES } from '../gpu/snapshot/start-mode.js';
import type { BlobStore } from '../storage/blob-store.js';
import { openStore } from '../storage/open-store.js';
import { unlessAborted } from '../unless-aborted.js';
import type { WorkerDeployment } from '../worker/gpu-worker.js';
import { type HealthServer, startHealthServer } from '../worker/health-server.js';
import { numberOf, parseArguments } from './arguments.js';
import { bundledModel } from './bundled-model.js';
import { cacheFolder } from './cache-folder.js';
import { configuredOrLocalServer } from './configured-server.js';
import { onInterrupt } from './interrupt.js';
import { createLog } from './log.js';
import { connectTo } from './remote-deployment.js';
import { temporalSdkLoader } from './temporal-sdk.js';
import { startTracing } from './tracing.js';
import { UsageError } from './usage-error.js';

export const WORKER_HELP = `temporal-diffusion worker --storage PLACE [options]

Works on jobs until it is stopped: Ctrl-C lets running pictures be finished and published, a second one ends at once.

  --model NAME         which model it draws with (default: emoji)
  --checkpoint DIR     that model's folder (default: the one that comes with this package)
  --models LIST        several models in their place, which take turns on the device: NAME or NAME=DIR, with commas
  --resident N         how many of them have memory of the device at the same time (default: 1)
  --storage PLACE      where pictures go: a folder, a file: URL, or s3://BUCKET/PREFIX (see docs/storage.md)
  --catalogs PLACES    below which catalogues may be read and their results written, with commas (default: the storage)
  --role ROLES         jobs (workflows and light activities), gpu (drawing and publishing), or both: jobs,gpu (default)
  --device DEVICE      what it draws on: cpu (default), or the GPU of that number: cuda:0
  --threads N          threads of the CPU runtime (default: all)
  --stream-buffer MIB  pinned memory that weights pass through on their way to a GPU (default: 64)
  --host-cache GIB     keep up to so much of a GPU's weights in shared memory, for the next engine; off (default): none
  --keeper on|off      whether a process of its own keeps a GPU's weights there when engines end (default: on)
  --keep SECONDS       how long it does so while nobody needs it; 0: until it is stopped (default: 600)
  --start HOW          how engines start: fresh; snapshot: restored, where that works; auto (default): whichever was
                       measured to be faster on this host
  --snapshots DIR      where snapshots are (default: in this package's cache folder)
  --grace SECONDS      what running pictures get when it is stopped (default: 30)
  --health-port PORT   answer GET /livez, /readyz and /metrics there (default: do not)
  --temporal-metrics-port PORT
                       answer GET /metrics with those of Temporal's own SDK there (default: do not; see docs/metrics.md)
  --min-free MIB       begin no picture while the disk for staged pixels has less free (default: 512)
  --max-backlog N      refuse requests while about so many images wait for the model (default: never)
  --max-pixels N       pixels of all of a request's images together (default: 16777216)
  --deployment NAME    the deployment that its workflows belong to, for Temporal's worker versioning (see docs/replay.md)
  --build-id ID        which version of it this is
  --versioning HOW     pinned: jobs end on the build that began them; auto-upgrade (default): they move to the current one
  --verbose            log more, prompts among it

The server is the one that TEMPORAL_ADDRESS, or a profile of Temporal's configuration, names; else localhost:7233.
`;

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** What a number of bytes can hold exactly. */
const MAX_MIB = Math.floor(Number.MAX_SAFE_INTEGER / MIB);

const NamedModel = z.strictObject({ model: ModelName, checkpoint: z.string().min(1).optional() });

/** `emoji,klein=/srv/models/klein` */
function modelsIn(list: string): { model: string; checkpoint?: string | undefined }[] {
  return list.split(',').map((entry) => {
    const at = entry.indexOf('=');
    return at < 0 ? { model: entry } : { model: entry.slice(0, at), checkpoint: entry.slice(at + 1) };
  });
}

const Options = z
  .object({
    model: ModelName.optional(),
    checkpoint: z.string().optional(),
    models: z.string().transform(modelsIn).pipe(z.array(NamedModel)).optional(),
    resident: z.int().min(1).max(64).optional(),
    storage: z.string('expected --storage with a folder, a file: URL or an s3: URL'),
    catalogs: z.string().optional(),
    role: z
      .string()
      .default('jobs,gpu')
      .transform((roles) => roles.split(','))
      .pipe(z.array(z.enum(['jobs', 'gpu'])).min(1)),
    device: DeviceName.default('cpu'),
    threads: z.int().min(1).max(1024).optional(),
    'stream-buffer': z.int().min(1).max(65_536).optional(),
    'host-cache': z
      .union([z.literal('off'), z.number().positive().max(65_536)], 'expected off, or GiB, more than 0')
      .default('off'),
    keeper: z.enum(['on', 'off']).optional(),
    keep: z.number().min(0).max(31_536_000).optional(),
    start: z.enum(START_MODES).default('auto'),
    snapshots: z.string().optional(),
    grace: z.number().min(0).max(86_400).default(30),
    'health-port': z.int().min(0).max(65_535).optional(),
    'temporal-metrics-port': z.int().min(1).max(65_535).optional(),
    'min-free': z.int().min(0).max(MAX_MIB).optional(),
    'max-backlog': z.int().min(0).optional(),
    'max-pixels': z.int().min(1).optional(),
    // Temporal separates the two with a dot in places.
    deployment: z
      .string()
      .regex(/^[^.]+$/, 'expected a name without dots')
      .optional(),
    'build-id': z.string().min(1).optional(),
    versioning: z.enum(['pinned', 'auto-upgrade']).optional(),
  })
  .superRefine((options, context) => {
    const alone = (['model', 'checkpoint'] as const).filter((name) => options[name] !== undefined);
    for (const name of options.models ? alone : []) {
      context.addIssue({
        code: 'custom',
        path: [name],
        message: 'expected either --models or this, got both',
      });
    }
    if (options.resident !== undefined && !options.models) {
      context.addIssue({ code: 'custom', path: ['resident'], message: 'expected --models with it' });
    }
    const names = options.models?.map(({ model }) => model) ?? [];
    if (new Set(names).size < names.length) {
      context.addIssue({ code: 'custom', path: ['models'], message: 'expected different names' });
    }
    if (options.device !== 'cpu') return;
    const given = [
      options['stream-buffer'] !== undefined && 'stream-buffer',
      options['host-cache'] !== 'off' && 'host-cache',
      options.keeper === 'on' && 'keeper',
      options.keep !== undefined && 'keep',
    ];
    for (const name of given.filter((name) => name !== false)) {
      context.addIssue({
        code: 'custom',
        path: [name],
        message:
          'expected a GPU with it (--device cuda:0), got the CPU, whose weights are mapped from their files',
      });
    }
  });

const NUMBERS = [
  'resident',
  'threads',
  'stream-buffer',
  'host-cache',
  'keep',
  'grace',
  'health-port',
  'temporal-metrics-port',
  'min-free',
  'max-backlog',
  'max-pixels',
] as const;
const NAMES = [
  'model',
  'checkpoint',
  'models',
  'storage',
  'catalogs',
  'role',
  'device',
  'keeper',
  'start',
  'snapshots',
  'deployment',
  'build-id',
  'versioning',
  ...NUMBERS,
] as const;

/** `temporal-diffusion worker`: one host's worker. */
export async function worker(argv: readonly string[]): Promise<void> {
  const { texts, flags, positionals } = parseArguments(argv, NAMES, ['verbose']);
  if (positionals.length > 0) throw new UsageError(`expected options only, got ${positionals.join(' ')}`);
  const numbers = Object.fromEntries(NUMBERS.map((name) => [name, numberOf(texts[name])]));
  const options = parse(Options, { ...texts, ...numbers });
  const { model = 'emoji', checkpoint, storage, role: roles, threads } = options;
  const models = (options.models ?? [{ model, checkpoint }]).map(({ model, checkpoint }) => ({
    model,
    checkpoint: checkpoint ?? bundledModel(model),
  }));
  const version = deploymentOf(options);
  const store = storeAt(storage);
  await store.check();

  const verbose = flags.has('verbose');
  const tracing = await startTracing();
  const log = createLog(verbose ? 'debug' : 'info', tracing?.logFields);
  const temporalMetrics = options['temporal-metrics-port'];
  const loadSdk = temporalSdkLoader(
    log,
    verbose ? 'INFO' : 'WARN',
    temporalMetrics === undefined ? undefined : `0.0.0.0:${temporalMetrics}`,
  );
  const interruption = onInterrupt();
  const { signal } = interruption;
  const server = configuredOrLocalServer();
  await loadSdk();
  const metrics = options['health-port'] === undefined ? undefined : await loadMetricsReader();
  const { createGpuWorker } = await import('../worker/gpu-worker.js');
  const diffusionWorker = await createGpuWorker({
    models,
    ...(options.resident !== undefined && { resident: options.resident }),
    store,
    ...(options.catalogs !== undefined && { catalogs: options.catalogs.split(',') }),
    cacheFolder: cacheFolder(),
    roles,
    device: options.device,
    ...(threads === undefined ? {} : { threads }),
    weights: {
      ...(options['stream-buffer'] !== undefined && { streamBufferBytes: options['stream-buffer'] * MIB }),
      ...(options['host-cache'] !== 'off' && { hostCacheBytes: Math.ceil(options['host-cache'] * GIB) }),
    },
    ...(options.keeper !== undefined && { keeper: options.keeper === 'on' }),
    ...(options.keep !== undefined && { keepSeconds: options.keep }),
    start: options.start,
    ...(options.snapshots !== undefined && { snapshotFolder: options.snapshots }),
    graceMs: options.grace * 1000,
    ...(options['min-free'] !== undefined && { minFreeBytes: options['min-free'] * MIB }),
    limits: {
      ...(options['max-backlog'] !== undefined && { maxBacklog: options['max-backlog'] }),
      ...(options['max-pixels'] !== undefined && { maxPixels: options['max-pixels'] }),
    },
    ...(version && { deployment: version }),
    ...(tracing && { tracing }),
    log,
  });
  let health: HealthServer | undefined;
  try {
    if (options['health-port'] !== undefined) {
      health = await startHealthServer(options['health-port'], () => diffusionWorker.readiness(), {
        ...(metrics && { metrics: () => metrics.read() }),
        states: () => diffusionWorker.states(),
      });
      log.info({ port: health.port }, 'health server started');
    }
    const deployment = await unlessAborted(connectTo(server, loadSdk), signal);
    try {
      log.info(
        {
          models: models.map(({ model }) => model),
          roles,
          address: server.address,
          namespace: deployment.namespace,
          store: store.url,
        },
        'worker started',
      );
      const running = diffusionWorker.run(deployment.connection, deployment.namespace);
      await unlessAborted(running, signal);
    } finally {
      log.info('worker stopping');
      await diffusionWorker.stop();
      await deployment.close();
    }
  } catch (error) {
    // To be stopped is how a worker ends.
    if (error !== signal.reason) throw error;
  } finally {
    await diffusionWorker.stop();
    await health?.close();
    await metrics?.close();
    await tracing?.close();
    interruption.dispose();
  }
}

/** Before the worker makes its meters. A worker whose metrics nobody can ask for loads nothing. */
async function loadMetricsReader() {
  const { startMetricsReader } = await import('./metrics-reader.js');
  return startMetricsReader();
}

function deploymentOf(options: z.infer<typeof Options>): WorkerDeployment | undefined {
  const { deployment: name, 'build-id': buildId, versioning } = options;
  if (name !== undefined && buildId !== undefined) {
    return { name, buildId, behavior: versioning === 'pinned' ? 'PINNED' : 'AUTO_UPGRADE' };
  }
  if (name !== undefined || buildId !== undefined || versioning !== undefined) {
    throw new UsageError('expected --deployment and --build-id together, and --versioning beside them only');
  }
  return undefined;
}

function storeAt(address: string): BlobStore {
  try {
    return openStore(address);
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

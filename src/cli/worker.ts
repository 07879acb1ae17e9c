import { z } from 'zod';
import { parse } from '../contract/parse.js';
import { ModelName } from '../contract/request.js';
import type { BlobStore } from '../storage/blob-store.js';
import { openStore } from '../storage/open-store.js';
import { numberOf, parseArguments } from './arguments.js';
import { bundledModel } from './bundled-model.js';
import { cacheFolder } from './cache-folder.js';
import { configuredServer } from './configured-server.js';
import { onInterrupt, unlessAborted } from './interrupt.js';
import { createLog } from './log.js';
import { connectTo } from './remote-deployment.js';
import { temporalSdkLoader } from './temporal-sdk.js';
import { UsageError } from './usage-error.js';

export const WORKER_HELP = `temporal-diffusion worker --storage DIR [options]

Works on jobs until it is stopped: Ctrl-C lets running pictures be finished and published, a second one ends at once.

  --model NAME         which model it draws with (default: emoji)
  --checkpoint DIR     that model's folder (default: the one that comes with this package)
  --storage DIR        where pictures go: a folder or a file: URL
  --roles ROLES        jobs (workflows and light activities), gpu (drawing and publishing), or both: jobs,gpu (default)
  --threads N          threads of the CPU runtime (default: all)
  --verbose            log more, prompts among it

The server is the one that TEMPORAL_ADDRESS, or a profile of Temporal's configuration, names; else localhost:7233.
`;

const Options = z.object({
  model: ModelName.default('emoji'),
  checkpoint: z.string().optional(),
  storage: z.string('expected --storage with a folder or a file: URL'),
  roles: z
    .string()
    .default('jobs,gpu')
    .transform((roles) => roles.split(','))
    .pipe(z.array(z.enum(['jobs', 'gpu'])).min(1)),
  threads: z.int().min(1).max(1024).optional(),
});

/** `temporal-diffusion worker`: one host's worker. */
export async function worker(argv: readonly string[]): Promise<void> {
  const names = ['model', 'checkpoint', 'storage', 'roles', 'threads'] as const;
  const { texts, flags, positionals } = parseArguments(argv, names, ['verbose']);
  if (positionals.length > 0) throw new UsageError(`expected options only, got ${positionals.join(' ')}`);
  const { model, checkpoint, storage, roles, threads } = parse(Options, {
    ...texts,
    threads: numberOf(texts.threads),
  });
  const store = storeAt(storage);
  await store.check();

  const verbose = flags.has('verbose');
  const log = createLog(verbose ? 'debug' : 'info');
  const loadSdk = temporalSdkLoader(log, verbose ? 'INFO' : 'WARN');
  const interruption = onInterrupt();
  const { signal } = interruption;
  const server = configuredServer() ?? {
    address: 'localhost:7233',
    connectionOptions: { address: 'localhost:7233' },
  };
  await loadSdk();
  const { createDiffusionWorker } = await import('../worker/diffusion-worker.js');
  const diffusionWorker = await createDiffusionWorker({
    model,
    checkpoint: checkpoint ?? bundledModel(model),
    store,
    cacheFolder: cacheFolder(),
    roles,
    ...(threads === undefined ? {} : { threads }),
    log,
  });
  try {
    const deployment = await unlessAborted(connectTo(server, loadSdk), signal);
    try {
      log.info(
        { model, roles, address: server.address, namespace: deployment.namespace, store: store.url },
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
    interruption.dispose();
  }
}

function storeAt(address: string): BlobStore {
  try {
    return openStore(address);
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

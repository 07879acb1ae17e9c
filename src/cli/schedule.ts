import type { CatalogSchedules } from '../client/catalog-schedules.js';
import { DiffusionClient } from '../client/diffusion-client.js';
import { numberOf, parseArguments } from './arguments.js';
import { CATALOG_NAMES, CATALOG_OPTIONS, parseCatalogRequest } from './catalog-arguments.js';
import { configuredOrLocalServer } from './configured-server.js';
import { createLog } from './log.js';
import { connectTo } from './remote-deployment.js';
import { temporalSdkLoader } from './temporal-sdk.js';
import { UsageError } from './usage-error.js';

export const SCHEDULE_HELP = `temporal-diffusion schedule ACTION [options]

Renders catalogues at fixed times. Each run draws only rows that are new or have changed.

  create NAME URL    --cron "0 3 * * *" or --every 12h
  list
  pause NAME
  resume NAME
  trigger NAME       renders now, beside the fixed times
  delete NAME

Options of create:
  --cron TEXT        cron's five fields
  --every TIME       such as 30m, 12h, 1d
  --time-zone NAME   such as Europe/Berlin (default: UTC)
  --overlap POLICY   what becomes of a run whose time comes while the last one goes on: skip (default), buffer-one,
                     buffer-all, cancel-other
  --jitter TIME      each run begins up to so much later
  --backfill FROM/TO also renders at the times of this past period, as ISO dates
  --paused           created, but not running
${CATALOG_OPTIONS}

  --json             one JSON document on stdout, and nothing else there

The server is the one that TEMPORAL_ADDRESS, or a profile of Temporal's configuration, names; else localhost:7233.
`;

const NAMES = [...CATALOG_NAMES, 'cron', 'every', 'time-zone', 'overlap', 'jitter', 'backfill'] as const;
type Parsed = ReturnType<typeof parseArguments<(typeof NAMES)[number], 'paused' | 'json' | 'verbose'>>;

type Action = (schedules: CatalogSchedules, names: readonly string[], parsed: Parsed) => Promise<unknown>;

const actions: Readonly<Record<string, Action>> = {
  async create(schedules, [id, place], { texts, flags }) {
    if (id === undefined || place === undefined) throw new UsageError('expected a name and a catalogue');
    const [from, to, ...rest] = texts.backfill?.split('/') ?? [];
    if (rest.length > 0 || (from !== undefined && to === undefined)) {
      throw new UsageError(`expected --backfill FROM/TO, got ${texts.backfill}`);
    }
    await schedules.create({
      id,
      request: parseCatalogRequest(place, texts),
      cron: texts.cron,
      every: durationOf(texts.every),
      timeZone: texts['time-zone'],
      overlap: texts.overlap as 'skip' | undefined,
      jitter: durationOf(texts.jitter),
      ...(from !== undefined && to !== undefined && { backfill: { from, to } }),
      paused: flags.has('paused'),
    });
    return { created: id };
  },
  list: (schedules) => schedules.list(),
  pause: (schedules, names) => each(names, 'paused', (name) => schedules.pause(name)),
  resume: (schedules, names) => each(names, 'resumed', (name) => schedules.resume(name)),
  trigger: (schedules, names) => each(names, 'triggered', (name) => schedules.trigger(name)),
  delete: (schedules, names) => each(names, 'deleted', (name) => schedules.delete(name)),
};

/** `temporal-diffusion schedule`: catalogues at fixed times. */
export async function schedule(argv: readonly string[]): Promise<void> {
  const parsed = parseArguments(argv, NAMES, ['paused', 'json', 'verbose']);
  const [name = '', ...names] = parsed.positionals;
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (!action) {
    throw new UsageError(
      `expected an action (${Object.keys(actions).join(', ')}), got ${JSON.stringify(name)}`,
    );
  }
  const log = createLog(parsed.flags.has('verbose') ? 'debug' : 'warn');
  const loadSdk = temporalSdkLoader(log, parsed.flags.has('verbose') ? 'INFO' : 'ERROR');
  const server = configuredOrLocalServer();
  const deployment = await connectTo(server, loadSdk);
  try {
    const { Client } = await import('@temporalio/client');
    const schedules = new DiffusionClient(new Client(deployment)).schedules;
    const answer = await action(schedules, names, parsed);
    process.stdout.write(
      parsed.flags.has('json') ? `${JSON.stringify(answer, null, 2)}\n` : describe(answer),
    );
  } finally {
    await deployment.close();
  }
}

async function each(names: readonly string[], done: string, work: (name: string) => Promise<void>) {
  if (names.length === 0) throw new UsageError('expected the name of a schedule');
  for (const name of names) await work(name);
  return { [done]: names.join(', ') };
}

/** A number alone would be milliseconds, which nobody means. */
function durationOf(text: string | undefined): string | undefined {
  if (typeof numberOf(text) === 'number')
    throw new UsageError(`expected a time such as 30m or 12h, got ${text}`);
  return text;
}

function describe(answer: unknown): string {
  if (!Array.isArray(answer)) {
    return Object.entries(answer as Record<string, string>)
      .map(([done, names]) => `${done} ${names}\n`)
      .join('');
  }
  if (answer.length === 0) return 'no schedules\n';
  type Entries = Awaited<ReturnType<CatalogSchedules['list']>>;
  return (answer as Entries)
    .map(({ id, catalog, paused, next }) => {
      const when = paused ? 'paused' : `next ${next[0]?.toISOString() ?? 'never'}`;
      return `${id} · ${catalog} · ${when}\n`;
    })
    .join('');
}

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { freePort } from '../src/cli/embedded-server.js';
import { startMetricsReader } from '../src/cli/metrics-reader.js';
import { OutOfMemory, StorageUnavailable } from '../src/contract/errors.js';
import type { EngineHost } from '../src/gpu/host.js';
import { packageRoot } from '../src/package-root.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import { startHealthServer } from '../src/worker/health-server.js';
import { createWorkerMetrics, METRICS, type Metric } from '../src/worker/metrics.js';
import { observeHost } from '../src/worker/observed-host.js';
import { timelineOf } from '../src/worker/render-timeline.js';
import { Command } from './support/command.js';
import { emojiHost, enginePids, smallItem } from './support/engine.js';
import { readPrometheus, type Sample, sumOf } from './support/prometheus.js';
import { metricsOf } from './support/promql.js';
import { scratchFolder } from './support/scratch.js';
import { startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';
import { startDiffusionWorker, withParts } from './support/workers.js';

const DASHBOARD = z
  .object({
    panels: z.array(
      z.object({
        id: z.int(),
        type: z.string(),
        title: z.string(),
        description: z.string().optional(),
        targets: z.array(z.object({ expr: z.string(), legendFormat: z.string() })).optional(),
        fieldConfig: z.object({ defaults: z.object({ unit: z.string().optional() }) }).optional(),
        options: z.object({ yAxis: z.object({ unit: z.string() }).optional() }).optional(),
      }),
    ),
    templating: z.object({
      list: z.array(
        z.object({
          query: z.union([z.string(), z.object({ query: z.string() }).transform(({ query }) => query)]),
        }),
      ),
    }),
  })
  .parse(
    JSON.parse(readFileSync(join(packageRoot(), 'deploy', 'grafana', 'temporal-diffusion.json'), 'utf8')),
  );

const small = { prompt: 'a red heart', width: 64, height: 64, steps: 3, seed: 7 };
const scratch = scratchFolder();
const reader = startMetricsReader();
after(() => reader.close());

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.close());

const scrape = async (url: string) => readPrometheus(await (await fetch(url)).text());
const here = async () => readPrometheus(await reader.read());

describe('a worker process', () => {
  let worker: Command;
  let port: number;
  let temporalPort: number;
  before(async () => {
    temporalPort = await freePort();
    const ports = ['--health-port', '0', '--temporal-metrics-port', `${temporalPort}`];
    worker = new Command(['worker', '--storage', join(scratch, 'pictures'), '--start', 'fresh', ...ports], {
      cwd: scratch,
      env: { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace },
    });
    await worker.says(/"port":\d+[^\n]*health server started/);
    port = Number(/"port":(\d+)[^\n]*health server started/.exec(worker.stderr)?.[1]);
  });
  after(async () => {
    worker.kill('SIGTERM');
    assert.equal(await worker.ended, 0, worker.stderr);
  });

  test('tells what it did, in numbers that add up', async () => {
    const { images } = await (await server.diffusion.generate({ ...small, count: 2 })).result();
    const items = [1, 2, 3, 4].map((seed) => ({ ...small, seed }));
    const batch = await (await server.diffusion.batch({ items })).result();
    assert.equal(batch.partial, false);
    const bytes = [...images, ...batch.items.flatMap((item) => (item.status === 'done' ? item.images : []))]
      .map((image) => image.bytes)
      .reduce((sum, size) => sum + size, 0);

    let samples: Sample[] = [];
    // An attempt counts when its activity is over, which the job may hear of first.
    await until('the last attempt is counted', async () => {
      samples = await scrape(`http://127.0.0.1:${port}/metrics`);
      const published = sumOf(samples, 'diffusion_activity_seconds_count', { activity: 'publishMany' });
      return published === 1;
    });
    const engine = { model: 'emoji', device: 'cpu' };
    const expected: [name: string, labels: Record<string, string>, value: number][] = [
      ['diffusion_images_total', engine, 6],
      ['diffusion_batch_images_count', engine, 3],
      ['diffusion_batch_images_sum', engine, 6],
      ['diffusion_batch_images_bucket', { ...engine, le: '1' }, 2],
      ['diffusion_batch_images_bucket', { ...engine, le: '4' }, 3],
      ['diffusion_step_seconds_count', engine, 9],
      ['diffusion_stage_seconds_count', { ...engine, stage: 'text' }, 3],
      ['diffusion_stage_seconds_count', { ...engine, stage: 'denoise' }, 3],
      ['diffusion_stage_seconds_count', { ...engine, stage: 'decode' }, 3],
      ['diffusion_render_seconds_count', { ...engine, outcome: 'completed' }, 3],
      ['diffusion_render_failures_total', { ...engine, reason: 'OutOfMemory' }, 0],
      ['diffusion_engine_starts_total', { ...engine, kind: 'fresh' }, 1],
      ['diffusion_engine_starts_total', { ...engine, kind: 'restored' }, 0],
      ['diffusion_engine_start_seconds_count', { ...engine, kind: 'fresh' }, 1],
      ['diffusion_restore_fallbacks_total', engine, 0],
      ['diffusion_engine_losses_total', engine, 0],
      ['diffusion_engine_ready', engine, 1],
      ['diffusion_published_images_total', { format: 'png' }, 6],
      ['diffusion_published_bytes_total', { format: 'png' }, bytes],
      ['diffusion_publish_seconds_count', { format: 'png', stage: 'encode' }, 6],
      ['diffusion_publish_seconds_count', { format: 'png', stage: 'store' }, 6],
      ['diffusion_activity_queue_seconds_count', { activity: 'generate' }, 3],
      ['diffusion_activity_seconds_count', { activity: 'generate', outcome: 'completed' }, 3],
      ['diffusion_activity_seconds_count', { activity: 'publish', outcome: 'completed' }, 2],
      ['diffusion_staging_bytes', {}, 0],
      ['diffusion_staging_images', {}, 0],
    ];
    for (const [name, labels, value] of expected) {
      assert.equal(sumOf(samples, name, labels), value, `${name} ${JSON.stringify(labels)}`);
    }
    const busy = sumOf(samples, 'diffusion_engine_busy_seconds_total', engine) ?? 0;
    const rendering = sumOf(samples, 'diffusion_render_seconds_sum', engine) ?? 0;
    assert.ok(busy > 0 && Math.abs(busy - rendering) < 0.001, `busy ${busy} s, rendering ${rendering} s`);
    const steps = sumOf(samples, 'diffusion_step_seconds_sum', engine) ?? 0;
    const denoising = sumOf(samples, 'diffusion_stage_seconds_sum', { ...engine, stage: 'denoise' }) ?? 0;
    assert.ok(Math.abs(steps - denoising) < 0.001, `steps ${steps} s, denoising ${denoising} s`);
    assert.ok((sumOf(samples, 'diffusion_engine_memory_bytes', engine) ?? 0) > 2 ** 20);
  });

  test('has no label but those that are declared, so that none can hold a prompt or a job', async () => {
    const samples = await scrape(`http://127.0.0.1:${port}/metrics`);
    const byName = new Map(
      Object.values<Metric>(METRICS).flatMap((metric) =>
        ['', '_total', '_bucket', '_sum', '_count'].map((ending) => [`${metric.name}${ending}`, metric]),
      ),
    );
    const ours = samples.filter(({ name }) => name !== 'target_info');
    for (const { name, labels } of ours) {
      const metric = byName.get(name);
      assert.ok(metric, `${name} is exported, but not declared`);
      const names = Object.keys(labels).filter((label) => label !== 'le');
      assert.deepEqual(names.sort(), [...metric.labels].sort(), name);
    }
  });

  /** The labels that Prometheus adds. */
  const SCRAPED = ['instance', 'job'];
  /** A worker on the CPU has no memory to tell of; a test below has it told. */
  const ON_GPUS: readonly Metric[] = [METRICS.deviceMemory, METRICS.deviceMemoryFree];

  /** Asserts that a query asks for what this worker tells, by labels that it has, in a way that makes sense. */
  async function queries(): Promise<(query: string, shown?: string) => void> {
    const pages = [port, temporalPort].map((page) => scrape(`http://127.0.0.1:${page}/metrics`));
    const samples = (await Promise.all(pages)).flat();
    const labelsOf = new Map(ON_GPUS.map(({ name, labels }) => [name as string, new Set<string>(labels)]));
    for (const { name, labels } of samples) {
      const known = labelsOf.get(name) ?? labelsOf.set(name, new Set()).get(name);
      for (const label of Object.keys(labels)) known?.add(label);
    }
    // What has not gone wrong yet has no sample; its name is declared all the same.
    for (const { name, kind, labels } of Object.values<Metric>(METRICS)) {
      if (kind === 'counter') labelsOf.set(`${name}_total`, new Set(labels));
    }
    return (query, shown = '') => {
      const asked = metricsOf(
        query.replaceAll('$__rate_interval', '5m').replaceAll(/"\$(model|instance)"/g, '".*"'),
      );
      assert.ok(asked.length > 0, query);
      for (const { metric, labels, isRange } of asked) {
        const known = labelsOf.get(metric);
        assert.ok(known, `${metric} is not what a worker tells: ${query}`);
        for (const label of [...labels, ...[...shown.matchAll(/\{\{(\w+)\}\}/g)].map(([, name]) => name)]) {
          assert.ok(
            [...known, ...SCRAPED].includes(label ?? ''),
            `${metric} has no label ${label}: ${query}`,
          );
        }
        assert.equal(isRange, /_(total|bucket|sum|count)$/.test(metric), `${metric}: ${query}`);
      }
    };
  }

  test('has all that the dashboard shows', async () => {
    const check = await queries();
    const panels = DASHBOARD.panels.filter(({ type }) => type !== 'row');
    const shown = new Set<string>();
    for (const { title, description, targets = [], fieldConfig, options } of panels) {
      assert.ok(description && targets.length > 0, title);
      assert.ok(fieldConfig?.defaults.unit ?? options?.yAxis?.unit, `${title} has no unit`);
      for (const { expr, legendFormat } of targets) {
        check(expr, legendFormat);
        for (const { metric } of metricsOf(expr.replaceAll('$__rate_interval', '5m'))) shown.add(metric);
      }
    }
    for (const { query } of DASHBOARD.templating.list) {
      const [, metric = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(query) ?? [];
      if (query !== 'prometheus')
        check(`count by (${label}) (${metric}${/_count$/.test(metric) ? '[1m]' : ''})`);
    }
    const unseen = Object.values<Metric>(METRICS).filter(
      ({ name }) => ![...shown].some((metric) => metric.startsWith(name)),
    );
    assert.deepEqual(
      unseen.map(({ name }) => name),
      [],
    );
    const ids = DASHBOARD.panels.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
  });

  test('has all that the alerts ask for', async () => {
    const check = await queries();
    const rules = readFileSync(join(packageRoot(), 'deploy', 'alerts.yml'), 'utf8');
    const asked = [...rules.matchAll(/^ +expr: (.+)$/gm)].map(([, query]) => query ?? '');
    assert.equal(asked.length, [...rules.matchAll(/- alert:/g)].length);
    for (const query of asked) check(query);
  });

  test("tells those of Temporal's own SDK on a port of their own", async () => {
    const samples = await scrape(`http://127.0.0.1:${temporalPort}/metrics`);
    const name = 'temporal_activity_schedule_to_start_latency_seconds_count';
    assert.ok((sumOf(samples, name, { task_queue: 'diffusion-gpu.emoji' }) ?? 0) >= 3);
  });
});

describe('what goes wrong is counted', () => {
  /** How much a sample has grown while `work` ran. */
  async function grown(
    work: () => Promise<unknown>,
    ...wanted: [name: string, labels: Record<string, string>][]
  ): Promise<number[]> {
    const before = await here();
    await work();
    const after = await here();
    return wanted.map(
      ([name, labels]) => (sumOf(after, name, labels) ?? 0) - (sumOf(before, name, labels) ?? 0),
    );
  }

  test('batches that do not fit, attempts that are repeated, engines that are lost', async () => {
    const host: EngineHost = emojiHost();
    const tight = withParts(host, {
      async render(options) {
        if (options.items.length > 2) throw new OutOfMemory('no room');
        return host.render(options);
      },
    });
    const folder = createFolderStore(join(scratch, 'flaky'));
    let away = 1;
    const store = {
      ...folder,
      async put(...args: Parameters<typeof folder.put>) {
        if (away-- > 0) throw new StorageUnavailable('away');
        return folder.put(...args);
      },
    };
    const worker = await startDiffusionWorker(server, {
      store,
      host: tight,
      cacheFolder: join(scratch, 'tight'),
    });
    try {
      const items = [1, 2, 3, 4].map((seed) => ({ ...small, seed }));
      const growth = await grown(
        async () => {
          await (await server.diffusion.batch({ items })).result();
        },
        ['diffusion_render_failures_total', { reason: 'OutOfMemory' }],
        ['diffusion_images_total', {}],
        ['diffusion_activity_retries_total', { activity: 'publishMany' }],
        ['diffusion_activity_failures_total', { activity: 'publishMany', reason: 'StorageUnavailable' }],
        ['diffusion_activity_seconds_count', { activity: 'publishMany', outcome: 'failed' }],
      );
      assert.deepEqual(growth, [1, 4, 1, 1, 1]);
    } finally {
      await worker.stop();
    }
  });

  test('an engine that is killed, and the next one', async () => {
    const store = createFolderStore(join(scratch, `killed-${randomUUID()}`));
    const worker = await startDiffusionWorker(server, { store });
    try {
      await worker.ready();
      const growth = await grown(
        async () => {
          const [pid] = enginePids();
          assert.ok(pid !== undefined);
          process.kill(pid, 'SIGKILL');
          const ready = async () => sumOf(await here(), 'diffusion_engine_ready') === 1;
          await until('it is lost', async () => !(await ready()));
          await until('the next one is ready', ready);
        },
        ['diffusion_engine_losses_total', { reason: 'EngineCrashed' }],
        ['diffusion_engine_starts_total', { kind: 'fresh' }],
        ['diffusion_engine_start_seconds_count', { kind: 'fresh' }],
      );
      assert.deepEqual(growth, [1, 1, 1]);
    } finally {
      await worker.stop();
    }
  });
});

describe('a host that is observed', () => {
  const labels = { model: 'emoji', device: 'cuda:9' };

  test("tells its device's memory, and does not keep a scrape waiting", async () => {
    await using host = emojiHost();
    await host.ready();
    let answer = (): void => {};
    const late = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const deviceMemory = { freeBytes: 3, totalBytes: 4 };
    const gpu: EngineHost = {
      ...withParts(host, {}),
      state: { name: 'idle', failures: 0 },
      async stats() {
        await late;
        return { ...(await host.stats()), deviceMemory };
      },
    };
    const observed = observeHost({ host: gpu, metrics: createWorkerMetrics(), ...labels });
    try {
      const first = await here();
      assert.equal(sumOf(first, 'diffusion_engine_ready', labels), 1);
      assert.equal(sumOf(first, 'diffusion_device_memory_bytes', labels), undefined);
      answer();
      const second = await here();
      assert.equal(sumOf(second, 'diffusion_device_memory_bytes', labels), 4);
      assert.equal(sumOf(second, 'diffusion_device_memory_free_bytes', labels), 3);
    } finally {
      observed.unobserve();
    }
  });

  test('is busy while it draws, and a render that is cancelled is no failure', async () => {
    await using host = emojiHost();
    const observed = observeHost({ host, metrics: createWorkerMetrics(), ...labels });
    const busy = async () => sumOf(await here(), 'diffusion_engine_busy_seconds_total', labels) ?? 0;
    try {
      await observed.ready();
      assert.equal(await busy(), 0);
      const abort = new AbortController();
      const rendering = observed.render({ items: [smallItem({ steps: 1000 })], signal: abort.signal });
      rendering.catch(() => {});
      await until('it is busy', async () => (await busy()) > 0);
      const then = await busy();
      await until('it is busier', async () => (await busy()) > then);
      abort.abort();
      await assert.rejects(rendering);
      const samples = await here();
      assert.equal(sumOf(samples, 'diffusion_render_seconds_count', { ...labels, outcome: 'cancelled' }), 1);
      assert.equal(sumOf(samples, 'diffusion_render_failures_total', labels), 0);
      const atRest = await busy();
      assert.equal(await busy(), atRest);
    } finally {
      observed.unobserve();
    }
  });
});

test('the parts of a drawing follow each other, whenever they were heard of', () => {
  const stages = { textMs: 30, denoiseMs: 60, decodeMs: 10 };
  assert.deepEqual(timelineOf([100, 171, 140, 195], 205, stages), [
    { name: 'text', from: 100, to: 130 },
    { name: 'denoise', from: 130, to: 190 },
    { name: 'step 1', from: 130, to: 171 },
    { name: 'step 2', from: 171, to: 171 },
    { name: 'step 3', from: 171, to: 190 },
    { name: 'decode', from: 190, to: 200 },
  ]);
  const [first, ...others] = timelineOf([103, 171], 200, stages);
  assert.equal(first?.from, 100, 'it began before that was heard of, since it took 100 ms until 200');
  assert.equal(others.at(-1)?.to, 200);
  assert.deepEqual(timelineOf([], 1, stages), []);
});

test('the page about metrics lists all of them as they are', () => {
  const page = readFileSync(join(packageRoot(), 'docs', 'metrics.md'), 'utf8');
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('| `diffusion_'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const types = {
    counter: 'counter',
    histogram: 'histogram',
    'read total': 'counter',
    'read value': 'gauge',
  };
  assert.deepEqual(
    rows.map((cells) => cells.slice(1, -1)),
    Object.values<Metric>(METRICS).map(({ name, kind, labels, description }) => [
      `\`${name}${types[kind] === 'counter' ? '_total' : ''}\``,
      types[kind],
      labels.map((label) => `\`${label}\``).join(', '),
      description,
    ]),
  );
});

test('a worker without metrics has no such page', async () => {
  const health = await startHealthServer(0, () => [], { address: '127.0.0.1' });
  try {
    const response = await fetch(`http://127.0.0.1:${health.port}/metrics`);
    assert.equal(response.status, 404);
    assert.equal(await response.text(), 'expected /livez or /readyz\n');
  } finally {
    await health.close();
  }
});

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { Client } from '@temporalio/client';
import { pino } from 'pino';
import { replayAll } from '../src/cli/replay.js';
import { startTracerProvider } from '../src/cli/tracer-provider.js';
import { DiffusionClient } from '../src/client/diffusion-client.js';
import { OutOfMemory } from '../src/contract/errors.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import { traceFields } from '../src/worker/trace-fields.js';
import { Command, runCommand } from './support/command.js';
import { emojiHost } from './support/engine.js';
import { type SentSpan, startCollector } from './support/otlp-collector.js';
import { scratchFolder } from './support/scratch.js';
import { loadSdk, startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';
import { startDiffusionWorker, withParts } from './support/workers.js';

const small = { prompt: 'a red heart', width: 64, height: 64, steps: 2, seed: 7 };
const scratch = scratchFolder();

let server: TestServer;
before(async () => {
  server = await startTestServer();
});
after(() => server.close());

/** What these tests look at, of spans from wherever. */
interface Seen {
  readonly name: string;
  readonly trace: string;
  readonly id: string;
  readonly parent: string | undefined;
  readonly from: number;
  readonly to: number;
}

/** The names of a span and of those that it is in, the outermost first. */
function pathOf(span: Seen, spans: readonly Seen[]): string {
  const parent = spans.find(({ id }) => id === span.parent);
  assert.ok(parent || span.parent === undefined, `the parent of ${span.name} is missing`);
  return parent ? `${pathOf(parent, spans)} > ${span.name}` : span.name;
}

const ACTIVITY = 'StartWorkflow:generateImage > RunWorkflow:generateImage > StartActivity';
/** All of a job that draws one picture in two steps. */
const ONE_PICTURE = [
  'StartWorkflow:generateImage',
  'StartWorkflow:generateImage > RunWorkflow:generateImage',
  `${ACTIVITY}:preparePromptAtOnce`,
  `${ACTIVITY}:preparePromptAtOnce > RunActivity:preparePromptAtOnce`,
  `${ACTIVITY}:generate`,
  `${ACTIVITY}:generate > RunActivity:generate`,
  `${ACTIVITY}:generate > RunActivity:generate > render`,
  `${ACTIVITY}:generate > RunActivity:generate > render > text`,
  `${ACTIVITY}:generate > RunActivity:generate > render > denoise`,
  `${ACTIVITY}:generate > RunActivity:generate > render > denoise > step 1`,
  `${ACTIVITY}:generate > RunActivity:generate > render > denoise > step 2`,
  `${ACTIVITY}:generate > RunActivity:generate > render > decode`,
  `${ACTIVITY}:publish`,
  `${ACTIVITY}:publish > RunActivity:publish`,
  `${ACTIVITY}:publish > RunActivity:publish > encode`,
  `${ACTIVITY}:publish > RunActivity:publish > store`,
].sort();

/** Milliseconds by which clocks and roundings of one machine may differ. */
const CLOCK_MS = 5;

/** Of a picture that takes long its workflow hears in between. */
const isNoSignal = ({ name }: Seen) => !/^(Signal|Handle)/.test(name);

function assertOneTrace(spans: readonly Seen[]): void {
  const paths = spans.filter(isNoSignal).map((span) => pathOf(span, spans));
  assert.deepEqual(paths.sort(), ONE_PICTURE);
  assert.equal(new Set(spans.map((span) => span.trace)).size, 1);
  const find = (name: string) => {
    const span = spans.find((candidate) => candidate.name === name);
    assert.ok(span, name);
    return span;
  };
  const [render, text, denoise, decode] = ['render', 'text', 'denoise', 'decode'].map(find) as Seen[];
  const [first, second] = ['step 1', 'step 2'].map(find) as Seen[];
  assert.ok(render && text && denoise && decode && first && second);
  const inOrder = [
    render.from,
    text.from,
    text.to,
    denoise.from,
    first.from,
    first.to,
    second.from,
    second.to,
    denoise.to,
    decode.from,
    decode.to,
    render.to,
  ];
  for (const [place, time] of inOrder.entries()) {
    const before = inOrder[place - 1] ?? time;
    assert.ok(time >= before - CLOCK_MS, `${place}: ${time} after ${before}`);
  }
  assert.ok(denoise.to - denoise.from > 0);
}

describe('a job in one process', () => {
  const exporter = new InMemorySpanExporter();
  const tracing = startTracerProvider(new SimpleSpanProcessor(exporter));
  after(() => tracing.close());

  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { level: 'info', base: null, mixin: traceFields },
    new Writable({
      write(line, _encoding, done) {
        lines.push(JSON.parse(String(line)));
        done();
      },
    }),
  );
  const seen = (span: ReadableSpan): Seen => ({
    name: span.name,
    trace: span.spanContext().traceId,
    id: span.spanContext().spanId,
    parent: span.parentSpanContext?.spanId,
    from: span.startTime[0] * 1e3 + span.startTime[1] / 1e6,
    to: span.endTime[0] * 1e3 + span.endTime[1] / 1e6,
  });
  /** Of one trace, those that have ended. */
  const spansOf = (id: string): Seen[] =>
    exporter
      .getFinishedSpans()
      .map(seen)
      .filter((span) => span.trace === id);

  const host = emojiHost();
  let tight = false;
  const worker = () =>
    startDiffusionWorker(server, {
      store: createFolderStore(join(scratch, 'pictures')),
      cacheFolder: join(scratch, 'cache'),
      host: withParts(host, {
        async render(options) {
          if (tight && options.items.length > 1) throw new OutOfMemory('no room');
          return host.render(options);
        },
      }),
      tracing,
      log,
    });
  let running: Awaited<ReturnType<typeof worker>>;
  let diffusion: DiffusionClient;
  before(async () => {
    running = await worker();
    await running.ready();
    const { connection, namespace } = server;
    diffusion = new DiffusionClient(
      new Client({ connection, namespace, interceptors: tracing.interceptors }),
    );
  });
  after(() => running.stop());

  /** The id of the job's trace, and its spans once all of them have ended. */
  async function traceOf(job: { id: string; result(): Promise<unknown> }): Promise<string> {
    await job.result();
    const starts = () =>
      exporter.getFinishedSpans().filter(({ attributes }) => attributes.workflowId === job.id);
    await until('the workflow has ended', () => starts().some(({ name }) => name.startsWith('RunWorkflow:')));
    const [span] = starts();
    assert.ok(span);
    return span.spanContext().traceId;
  }

  test('is one trace, from the call to the steps of its engine', async () => {
    const job = await diffusion.generate(small);
    const id = await traceOf(job);
    await until('all has ended', () => spansOf(id).filter(isNoSignal).length >= ONE_PICTURE.length);
    assertOneTrace(spansOf(id));
    // What Temporal knows of a job beside its name, such as its memo, is not in its spans.
    const [workflow] = exporter.getFinishedSpans().filter(({ name }) => name.startsWith('RunWorkflow:'));
    assert.deepEqual(Object.keys(workflow?.attributes ?? {}).sort(), [
      'attempt',
      'runId',
      'taskQueue',
      'workflowId',
      'workflowType',
    ]);

    const own = lines.filter(({ job: of }) => of === job.id);
    const [drawn] = own.filter(({ msg }) => msg === 'image drawn');
    const { pid } = await host.ready();
    assert.deepEqual(
      { index: drawn?.index, engine: drawn?.engine, device: drawn?.device, trace_id: drawn?.trace_id },
      { index: 0, engine: pid, device: 'cpu', trace_id: id },
    );
    const [published] = own.filter(({ msg }) => msg === 'image published');
    assert.equal(published?.trace_id, id);
    assert.deepEqual([published?.activity, published?.attempt], ['publish', 1]);
  });

  test("goes on with its caller's trace", async () => {
    const caller = trace.getTracer('test').startSpan('checkout', {}, ROOT_CONTEXT);
    const job = await context.with(trace.setSpan(ROOT_CONTEXT, caller), () => diffusion.generate(small));
    caller.end();
    assert.equal(await traceOf(job), caller.spanContext().traceId);
  });

  test('tells which of its batches did not fit', async () => {
    tight = true;
    try {
      const items = [1, 2].map((seed) => ({ ...small, seed }));
      const id = await traceOf(await diffusion.batch({ items }));
      const renders = exporter
        .getFinishedSpans()
        .filter((span) => span.name === 'render' && span.spanContext().traceId === id)
        .map(({ attributes, status }) => [attributes.images, status.message]);
      assert.deepEqual(renders, [
        [2, 'no room'],
        [1, undefined],
        [1, undefined],
      ]);
    } finally {
      tight = false;
    }
  });

  test('that nobody traces has no spans, and is gone on with in the same way', async () => {
    const before = exporter.getFinishedSpans().length;
    const untraced = await server.diffusion.generate(small);
    await untraced.result();
    await traceOf(await diffusion.generate(small));
    const names = exporter.getFinishedSpans().slice(before);
    const untracedSpans = names.filter(({ attributes }) =>
      [attributes.workflowId, attributes.temporalWorkflowId].includes(untraced.id),
    );
    assert.deepEqual(untracedSpans, []);
  });

  test('is replayed like any other, by whom nobody tells where spans go', async () => {
    const job = await diffusion.generate(small);
    await job.result();
    const history = await server.client.workflow.getHandle(job.id, job.runId).fetchHistory();
    for await (const { difference } of replayAll(await loadSdk(), [{ workflowId: job.id, history }])) {
      assert.equal(difference, undefined, difference?.message);
    }
  });
});

describe('a job of three processes', () => {
  test('is one trace, and their log lines, those of the engine too, tell it', async () => {
    const collector = await startCollector();
    const env = {
      TEMPORAL_ADDRESS: server.address,
      TEMPORAL_NAMESPACE: server.namespace,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: '50',
    };
    const worker = new Command(['worker', '--storage', join(scratch, 'storage'), '--start', 'fresh'], {
      cwd: scratch,
      env,
    });
    try {
      await worker.says('worker started');
      await until('the engine can draw', () => worker.stderr.includes('engine ready'));
      const size = ['--size', '64x64', '--steps', '2', '--seed', '7'];
      const drawn = await runCommand(['render', 'a red heart', ...size, '--json'], { cwd: scratch, env });
      assert.equal(drawn.code, 0, drawn.stderr);
      const { workflowId } = JSON.parse(drawn.stdout);
      worker.kill('SIGTERM');
      assert.equal(await worker.ended, 0, worker.stderr);

      const seen = (span: SentSpan): Seen => ({
        name: span.name,
        trace: span.traceId,
        id: span.spanId,
        parent: span.parentSpanId || undefined,
        from: Number(span.startTimeUnixNano / 1000n) / 1000,
        to: Number(span.endTimeUnixNano / 1000n) / 1000,
      });
      // An engine that is not ready yet is waited for in the job's trace, too.
      const spans = collector.spans.map(seen).filter(({ name }) => name !== 'engine start');
      assertOneTrace(spans);
      const lines = worker.stderr
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line));
      for (const msg of ['image drawn', 'image published', 'rendered']) {
        const [line] = lines.filter((candidate) => candidate.msg === msg);
        assert.deepEqual(
          { job: line?.job, trace_id: line?.trace_id },
          { job: workflowId, trace_id: spans[0]?.trace },
          msg,
        );
      }
    } finally {
      worker.kill('SIGKILL');
      await worker.ended;
      await collector.close();
    }
  });

  test('loads nothing of OpenTelemetry but its interface where nobody wants to know', async () => {
    const probe = join(scratch, 'probe.cjs');
    const report = join(scratch, 'loaded.json');
    await writeFile(
      probe,
      `process.on('exit', () => {
        if (!process.argv[1].endsWith('/cli/main.js')) return;
        const loaded = Object.keys(require('node:module')._cache);
        require('node:fs').writeFileSync(${JSON.stringify(report)}, JSON.stringify(loaded));
      });`,
    );
    const { code } = await runCommand(['worker', '--storage', join(scratch, 'storage')], {
      cwd: scratch,
      env: { TEMPORAL_ADDRESS: '127.0.0.1:1', NODE_OPTIONS: `--require=${probe}` },
    });
    assert.equal(code, 1);
    const loaded: string[] = JSON.parse(await readFile(report, 'utf8'));
    assert.ok(loaded.some((path) => path.includes('/@temporalio/worker/')));
    const packages = loaded.map(
      (path) => /\/(@opentelemetry\/[^/]+|interceptors-opentelemetry)\//.exec(path)?.[1],
    );
    assert.deepEqual(
      [...new Set(packages)].filter((name) => name !== undefined),
      ['@opentelemetry/api'],
    );
  });
});

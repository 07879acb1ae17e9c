import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { z } from 'zod';
import { differenceOf } from '../src/cli/history-difference.js';
import { readHistory } from '../src/cli/history-file.js';
import { replayAll } from '../src/cli/replay.js';
import { GENERATE_BATCH, GENERATE_IMAGE, RENDER_CATALOG } from '../src/contract/workflow-types.js';
import { createFolderStore } from '../src/storage/folder-store.js';
import type { DiffusionWorker } from '../src/worker/gpu-worker.js';
import { runCommand } from './support/command.js';
import { HISTORIES, recordedHistories } from './support/histories.js';
import { scratchFolder } from './support/scratch.js';
import { loadSdk, startTestServer, type TestServer } from './support/temporal.js';
import { until } from './support/waiting.js';
import { startDiffusionWorker } from './support/workers.js';

const scratch = scratchFolder();
const recorded = recordedHistories();

const Attributes = z.looseObject({ activityType: z.looseObject({ name: z.string() }).optional() });
const HistoryJson = z.object({
  events: z.array(
    z.looseObject({
      eventId: z.string(),
      eventType: z.string(),
      activityTaskScheduledEventAttributes: Attributes.optional(),
    }),
  ),
});
type HistoryJson = z.infer<typeof HistoryJson>;

const Report = z.object({
  ok: z.boolean(),
  different: z.int(),
  replayed: z.array(
    z.object({
      workflowId: z.string(),
      workflowType: z.string(),
      difference: z
        .object({
          event: z.object({ id: z.int(), type: z.string(), what: z.string().optional() }).optional(),
          command: z.string().optional(),
          message: z.string(),
        })
        .optional(),
    }),
  ),
});

const load = (name: string): HistoryJson =>
  HistoryJson.parse(JSON.parse(readFileSync(join(HISTORIES, `${name}.json`), 'utf8')));

/** The events that schedule an activity of this type. */
const scheduled = (history: HistoryJson, type: string) =>
  history.events.filter((event) => event.activityTaskScheduledEventAttributes?.activityType?.name === type);

const command = (argv: readonly string[], env: Record<string, string> = {}) =>
  runCommand(['replay', ...argv], { cwd: scratch, env });

describe('jobs that an earlier release has begun', () => {
  for (const path of recorded) {
    test(`can be gone on with: ${basename(path, '.json')}`, async () => {
      for await (const { difference } of replayAll(await loadSdk(), [await readHistory(path)])) {
        assert.equal(difference, undefined, difference?.message);
      }
    });
  }

  test('are recorded of each workflow, also while they run', async () => {
    const kinds = new Set<string>();
    const open = new Set<string>();
    const histories = await Promise.all(recorded.map(readHistory));
    for await (const { workflowType } of replayAll(await loadSdk(), histories)) kinds.add(workflowType);
    for (const { workflowId, history } of histories) {
      if (history.events?.at(-1)?.workflowTaskStartedEventAttributes) open.add(workflowId);
      const last = JSON.stringify(history.events?.at(-1));
      if (!/workflowExecution\w+EventAttributes/.test(last)) open.add(workflowId);
    }
    assert.deepEqual(kinds, new Set([GENERATE_IMAGE, GENERATE_BATCH, RENDER_CATALOG]));
    assert.ok(open.size >= 2, `${[...open]}`);
  });

  test('tell nothing of the machine where they were recorded', () => {
    for (const path of recorded) {
      const text = readFileSync(path, 'utf8');
      const payloads = [...text.matchAll(/"data":"([^"]*)"/g)].map(([, data]) =>
        Buffer.from(data ?? '', 'base64').toString('utf8'),
      );
      for (const part of [text, ...payloads]) {
        assert.doesNotMatch(
          part,
          /\d+@|"identity"|"stackTrace"|\/(tmp|home|root|var|Users)\//,
          basename(path),
        );
      }
    }
  });
});

describe('a history that this code does not lead to', () => {
  const differences: [
    name: string,
    change: (history: HistoryJson) => { id: string; what: string },
    type: string,
    command: string,
  ][] = [
    [
      'an activity of another type',
      (history) => {
        const [first] = scheduled(history, 'publish');
        assert.ok(first);
        first.activityTaskScheduledEventAttributes = {
          ...first.activityTaskScheduledEventAttributes,
          activityType: { name: 'upload' },
        };
        return { id: first.eventId, what: 'upload' };
      },
      'ActivityTaskScheduled',
      "activity command 'publish'",
    ],
    [
      'a later activity of a type that was there before',
      (history) => {
        const last = scheduled(history, 'publish').at(-1);
        assert.ok(last);
        last.activityTaskScheduledEventAttributes = {
          ...last.activityTaskScheduledEventAttributes,
          activityType: { name: 'generate' },
        };
        return { id: last.eventId, what: 'generate' };
      },
      'ActivityTaskScheduled',
      "activity command 'publish'",
    ],
    [
      'a timer in place of an activity',
      (history) => {
        const [first] = scheduled(history, 'publish');
        assert.ok(first);
        const { eventId } = first;
        for (const key of Object.keys(first)) if (key.endsWith('Attributes')) delete first[key];
        Object.assign(first, {
          eventType: 'EVENT_TYPE_TIMER_STARTED',
          timerStartedEventAttributes: { timerId: '1', startToFireTimeout: '5s' },
        });
        return { id: eventId, what: '1' };
      },
      'TimerStarted',
      'a command of kind activity',
    ],
  ];
  for (const [name, change, type, instead] of differences) {
    test(`because of ${name}, is told to the event`, async () => {
      const history = load('image-plain');
      const { id, what } = change(history);
      const path = join(scratch, 'changed.json');
      await writeFile(path, JSON.stringify(history));
      const { code, stdout, stderr } = await command([path, '--json']);
      assert.equal(code, 1, stderr);
      const report = Report.parse(JSON.parse(stdout));
      assert.deepEqual([report.ok, report.different], [false, 1]);
      const { difference } = report.replayed[0] ?? {};
      assert.deepEqual(difference?.event, { id: Number(id), type, what });
      assert.equal(difference?.command, instead);
      const inWords = await command([path, join(HISTORIES, 'batch-plain.json')]);
      assert.equal(inWords.code, 1);
      assert.match(inWords.stdout, new RegExp(`recorded: event ${id}, ${type} of ${what}\n`));
      assert.match(inWords.stdout, /✔ generate-batch\/batch-plain .*\n2 replayed, 1 different\n/);
    });
  }

  test('is told to the event also where the SDK speaks of its own machines', async () => {
    const { history } = await readHistory(join(HISTORIES, 'image-plain.json'));
    // What it says where code cancels an activity at once that was scheduled then.
    const message =
      'Failure { message: "Fatal error in workflow machines: ActivityMachine says the transition is invalid during event EventInfo { event_id: 13, event_type: ActivityTaskScheduled }", source: "" }';
    const { event } = await differenceOf(history, message, () => assert.fail('nothing is to be searched'));
    assert.deepEqual(event, { id: 13, type: 'ActivityTaskScheduled', what: 'publish' });
  });

  test('because the code fails, is told to the workflow task', async () => {
    const { history } = await readHistory(join(HISTORIES, 'image-plain.json'));
    const failsAfter = (events: number) => async (part: History) =>
      (part.events?.length ?? 0) > events ? 'broken' : undefined;
    const message = 'Failure { message: "TypeError: \\"x\\" is broken", source: "" }';
    const difference = await differenceOf(history, message, failsAfter(11));
    assert.equal(difference.message, 'TypeError: "x" is broken');
    assert.deepEqual(difference.event, { id: 12, type: 'WorkflowTaskCompleted', what: undefined });
  });

  test('because it is of a workflow that is not ours, is refused', async () => {
    const history = load('image-refused');
    const path = join(scratch, 'theirs.json');
    await writeFile(path, JSON.stringify(history).replaceAll('generateImage', 'theirs'));
    const { code, stderr } = await command([path]);
    assert.equal(code, 1);
    assert.match(stderr, /expected .* to be a workflow of ours \(generateImage, .*\), got theirs/);
  });

  test('because it is none, is refused', async () => {
    const path = join(scratch, 'none.json');
    await writeFile(path, '{"events":[]}');
    const { code, stderr } = await command([path]);
    assert.equal(code, 1);
    assert.match(stderr, /expected .*none\.json to be a workflow's history/);
  });
});

test('below a debugger a history is replayed by Temporal’s own replayer', async () => {
  const { code, stdout, stderr } = await command([join(HISTORIES, 'image-plain.json'), '--debug'], {
    NODE_OPTIONS: '--inspect=127.0.0.1:0',
  });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /Replay completed successfully/);
});

test('what is to be replayed must be said in one way', async () => {
  for (const argv of [[], ['x', '--query', ''], ['a', 'b', '--run-id', 'c'], ['a', 'b', '--debug']]) {
    assert.equal((await command(argv)).code, 2, argv.join(' '));
  }
});

describe('jobs of a server', () => {
  let server: TestServer;
  let worker: DiffusionWorker;
  before(async () => {
    server = await startTestServer();
    const store = createFolderStore(join(scratch, 'pictures'));
    worker = await startDiffusionWorker(server, { store, roles: ['jobs'] });
  });
  after(async () => {
    await worker.stop();
    await server.close();
  });

  test('are replayed by their id, by their run, and by a query', async () => {
    const env = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
    const ids: string[] = [];
    let runId: string | undefined;
    for (const width of [1024, 2048]) {
      // Refused by its model: the whole of a job that needs no GPU.
      const job = await server.diffusion.generate({ prompt: 'x', width });
      await assert.rejects(job.result());
      ids.push(job.id);
      runId = job.runId;
    }
    const last = ids[1] ?? '';
    for (const argv of [[last], [last, '--run-id', runId ?? '']]) {
      const { code, stdout, stderr } = await command([...argv, '--json'], env);
      assert.equal(code, 0, stderr);
      assert.deepEqual(
        Report.parse(JSON.parse(stdout)).replayed.map(({ workflowId }) => workflowId),
        [last],
      );
    }
    await until('both are visible', async () => {
      const { stdout } = await command(['--query', 'ExecutionStatus="Failed"', '--json'], env);
      return Report.parse(JSON.parse(stdout)).replayed.length === 2;
    });
    const unknown = await command(['no-such-job'], env);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /no-such-job|not found/);
  });
});

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { loadDataConverter } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { explain as explainHere } from '../src/cli/explain.js';
import { describeExplanation } from '../src/cli/explain-report.js';
import { spansOf } from '../src/cli/explain-spans.js';
import { explain, totalsOf } from '../src/cli/explanation.js';
import { readHistory } from '../src/cli/history-file.js';
import { type RecordedRun, readRun } from '../src/cli/recorded-run.js';
import { UsageError } from '../src/cli/usage-error.js';
import type { EngineRecord } from '../src/contract/attempts.js';
import { EngineCrashed, ERROR_TYPES, StorageUnavailable } from '../src/contract/errors.js';
import { type ExplainedTask, Explanation } from '../src/contract/explanation.js';
import { remedyOf } from '../src/contract/remedies.js';
import { runCommand } from './support/command.js';
import { HISTORIES, recordedHistories } from './support/histories.js';
import { type MadeAttempt, madeHistory } from './support/made-history.js';
import { scratchFolder } from './support/scratch.js';
import { sharedEngine } from './support/shared-engine.js';
import { until } from './support/waiting.js';

const scratch = scratchFolder();

async function runOf(path: string): Promise<RecordedRun> {
  const { history, workflowId } = await readHistory(path);
  return { ...(await readRun(history, loadDataConverter())), workflowId };
}

/** What is told of recorded runs, one after the other; everything is over by the last one's end. */
async function told(...names: string[]) {
  const runs = await Promise.all(names.map((name) => runOf(join(HISTORIES, `${name}.json`))));
  const now = runs.at(-1)?.lastEventAt ?? 0;
  const explanation = explain(runs, now);
  return { explanation, text: describeExplanation(explanation, now) };
}

async function toldOfMade(images: Parameters<typeof madeHistory>[0]) {
  const path = join(scratch, 'made.json');
  await writeFile(path, madeHistory(images));
  const run = await runOf(path);
  const explanation = explain([run], run.lastEventAt);
  return { explanation, text: describeExplanation(explanation, run.lastEventAt) };
}

test('every kind of error has a remedy', () => {
  assert.deepEqual(
    ERROR_TYPES.filter((type) => remedyOf(type) === undefined),
    [],
  );
});

describe('what is told of a recorded job', () => {
  test('fits the schema that programs go by, and a terminal, whatever the job was', async () => {
    for (const path of recordedHistories()) {
      const run = await runOf(path);
      const explanation = explain([run], run.lastEventAt);
      Explanation.parse(JSON.parse(JSON.stringify(explanation)));
      const text = describeExplanation(explanation, run.lastEventAt);
      assert.ok(text.split('\n').length < 60, path);
      for (const line of text.split('\n')) assert.ok(line.length < 200, `${path}: ${line}`);
      assert.doesNotMatch(text, /undefined|NaN|\[object/, path);
    }
  });

  test('a plain one: its request, stages and pictures', async () => {
    const { text, explanation } = await told('image-plain');
    assert.match(text, /^a red heart\ncompleted in /);
    assert.match(text, /64×64 · 2 steps of emoji \w{8} · 2 images, seeds 7–8 · png · for=replay/);
    assert.match(
      text,
      /image 1 · seed 8 .*\n {2}✔ drawn in .*\n.*queue .*\n.*text .* · 2 steps .* each\) · decode /,
    );
    assert.match(
      text,
      /✔ stored in .* · encode .* · upload .* · 64×64 · 8 KB of png\n +file:.*a-red-heart-8-/,
    );
    assert.equal(explanation.pictures.length, 2);
  });

  test('one that was refused, one that failed, one that was cancelled, one that waits', async () => {
    assert.match(
      (await told('image-refused')).text,
      /✖ InvalidRequest: expected .* at width\n {2}→ the caller/,
    );
    const failed = await told('image-failed');
    assert.match(failed.text, /✖ EngineCrashed: .*\n {2}→ look at the engine's last words/);
    assert.match(failed.text, /✖ drawing, attempts 1–5: EngineCrashed ×5/);
    const cancelled = await told('image-cancelled');
    assert.match(cancelled.text, /^a red heart\ncancelled after /);
    assert.match(cancelled.text, /■ drawing: cancelled after .*[\s\S]*asked for meanwhile: cancel after /);
    assert.match((await told('image-waiting')).text, /… drawing: waits in the queue diffusion-gpu\.emoji/);
  });

  test('one whose host was gone before it had stored', async () => {
    const { text } = await told('image-host-lost');
    assert.match(
      text,
      /✔ drawn [\s\S]*✖ storing: Timeout\n.*the host is gone → drawn again by whichever host is free\n {2}✔ drawn [\s\S]*✔ stored/,
    );
  });

  test('a batch, summed up, with what went wrong in it', async () => {
    const { text, explanation } = await told('batch-one-item-fails');
    assert.match(text, /generate .*\n {2}2 done · 2 failed · 2 images · 2 in more than one attempt/);
    assert.match(
      text,
      /generate of images 0–2\n.*attempts 1–3: EngineCrashed ×3\n.*each image is tried alone/,
    );
    assert.match(text, /✖ item 1: EngineCrashed/);
    assert.deepEqual(
      explanation.failedItems.map(({ index }) => index),
      [1],
    );
  });

  test('a catalogue over the runs that it was continued in', async () => {
    const { text, explanation } = await told('catalog-continued-as-new', 'catalog-second-run');
    assert.match(text, /2 runs, one after the other, of \d+ events together/);
    assert.equal(explanation.pictures.length, 70);
    assert.equal(explanation.totals.drawn, 70);
    assert.equal(explanation.status, 'completed');
    const resumed = await told('catalog-resumed');
    assert.match(
      resumed.text,
      /asked for meanwhile: pause after .* · setConcurrency 3 after .* · resume after /,
    );
  });
});

describe('what is told of a job with very many attempts', () => {
  const crash = (engine: number, host: string): MadeAttempt => ({
    error: { type: 'EngineCrashed', message: `the engine ended in mid-work [engine=${engine}]` },
    host,
  });
  const noRoom = { error: { type: 'OutOfMemory', message: 'no room' }, host: 'gpu-0' };

  test('is one line for those in a row that failed alike', async () => {
    const attempts = Array.from({ length: 97 }, (_, place) => crash(place, `gpu-${place % 7}`));
    const { text, explanation } = await toldOfMade([
      { drawings: [[noRoom, noRoom, ...attempts, { host: 'gpu-3' }]] },
    ]);
    assert.match(text, /✖ drawing, attempt 2: OutOfMemory at step 2 of 4 after /);
    assert.match(
      text,
      /✖ drawing, attempts 3–99: EngineCrashed ×97 after .*\n +gpu-0, gpu-1, gpu-2 and 4 more\n/,
    );
    assert.match(
      text,
      /✔ drawn in .*, attempt 100\n +gpu-3 · engine .* on NVIDIA H100 80GB HBM3 \(cuda:0\) · /,
    );
    assert.ok(text.split('\n').length < 30);
    // Programs get each.
    assert.equal(explanation.tasks[0]?.attempts.length, 100);
    assert.equal(explanation.totals.failedAttempts, 99);
  });

  test('is a screen also where no two images fared alike', async () => {
    const kinds = ['EngineCrashed', 'EngineStalled', 'OutOfMemory', 'DeviceLost'];
    const images = Array.from({ length: 16 }, (_, index) => ({
      drawings: [
        [
          ...Array.from({ length: 4 }, (_, place) => ({
            error: { type: kinds[(index >> (place & 1 ? 2 : 0)) & 3] ?? '', message: `${index} ${place}` },
            host: `gpu-${place}`,
          })),
          { host: 'gpu-9' },
        ],
      ],
    }));
    const { text } = await toldOfMade(images);
    assert.ok(text.split('\n').length < 60, text);
    assert.match(text, /\nand \d+ more lines: all details by --html or --json\n/);
  });

  test('is one paragraph for images that fared alike', async () => {
    const drawing = [0, 1, 2, 3].map((place) => (place === 3 ? noRoom : crash(place, 'gpu-1')));
    const once = [...drawing, { host: 'gpu-1' }];
    const images = Array.from({ length: 16 }, (_, index) => ({
      drawings: index % 4 === 1 ? [once, once] : [once],
    }));
    const { text, explanation } = await toldOfMade(images);
    assert.equal(explanation.totals.attempts, 120);
    assert.match(text, /\n12 images .*\n {2}images 0, 2–4, 6–8, 10–12, 14–15 fared alike; this is image 0\n/);
    assert.match(text, /\n4 images .*\n {2}images 1, 5, 9, 13 fared alike/);
    assert.match(text, /4 pictures in file:\/\/\/nowhere\/\n/);
    assert.ok(text.split('\n').length < 55);
  });
});

test('an engine that two images waited for started once, before it drew the first of them', () => {
  const engine: EngineRecord = {
    ...{
      instance: '6c0c4b0e-2b7a-4f7e-8f5e-0e8a4cf0a001',
      start: 'fresh',
      device: 'cpu',
      deviceName: 'a CPU',
    },
    ...{ readyAt: 3_000, loadMs: 3_000 },
  };
  const taskOf = (index: number, startedAt: number): ExplainedTask => ({
    ...{ run: 0, event: 1, type: 'generate', state: 'done', queue: 'diffusion-gpu.emoji' },
    ...{ images: [index], seeds: [index], scheduledAt: 1_000, endedAt: startedAt + 500 },
    attempts: [
      {
        ...{ from: 1, to: 1, state: 'done', startedAt, ms: 500, engine },
        ...{ queueMs: startedAt - 3_000, coldStartMs: 2_000 },
      },
    ],
    stages: { denoiseMs: 500 },
  });
  const tasks = [taskOf(0, 3_000), taskOf(1, 3_500)];
  assert.deepEqual(
    tasks.map((task) => spansOf(task, 9_000).map(({ kind, from, to }) => [kind, from, to])),
    [
      [
        ['start', 1_000, 3_000],
        ['steps', 3_000, 3_500],
      ],
      [
        ['start', 1_000, 3_000],
        ['wait', 3_000, 3_500],
        ['steps', 3_500, 4_000],
      ],
    ],
  );
  const { coldStartMs, queueMs } = totalsOf(tasks);
  assert.deepEqual({ coldStartMs, queueMs }, { coldStartMs: 2_000, queueMs: 500 });
});

describe('temporal-diffusion explain', () => {
  const shared = sharedEngine(scratch);
  const small = { prompt: 'a <red> heart & "more"', width: 64, height: 64, steps: 2, seed: 7 };
  const command = (...argv: string[]) => {
    const { address, namespace } = shared.server;
    const env = { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace };
    return runCommand(['explain', ...argv], { cwd: scratch, env });
  };

  test('a job that runs: which host draws it, how far it is, and what went wrong before', async () => {
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    let renders = 0;
    const host = shared.lent(async (options) => {
      options.onStep?.({ index: 0, seed: 7, step: 1, of: 2 });
      if (++renders === 1) throw new EngineCrashed('the engine ended in mid-work');
      await opened;
      return shared.host.render(options);
    });
    await shared.withHost({ host }, async () => {
      const job = await shared.server.diffusion.generate(small);
      await until('it is drawn for the second time', () => renders === 2);
      let text = '';
      try {
        await until(
          'the server knows how far it is',
          async () => {
            ({ stdout: text } = await command(job.id));
            return text.includes('at step 1 of 2, for');
          },
          30_000,
        );
      } finally {
        open();
      }
      await job.result();
      const { instance } = await shared.host.ready();
      assert.match(text, /running for /);
      assert.match(
        text,
        /✖ drawing, attempt 1: EngineCrashed at step 1 of 2 after .*\n.*\n.*→ drawn again by a new engine/,
      );
      assert.match(
        text,
        new RegExp(`▶ drawing, attempt 2 at step 1 of 2, for .*\\n.* · engine ${instance.slice(0, 8)}`),
      );
    });
  });

  test('a job that is over: as text, as JSON, and as a page that needs nothing beside it', async () => {
    const { id, pictures } = await shared.withHost({}, async () => {
      const job = await shared.server.diffusion.generate({ ...small, count: 2 });
      return { id: job.id, pictures: (await job.result()).images };
    });
    const page = join(scratch, 'page.html');
    const { code, stdout, stderr } = await command(id, '--json', '--html', page);
    assert.equal(code, 0, stderr);
    const { status, tasks, pictures: known } = Explanation.parse(JSON.parse(stdout));
    assert.equal(status, 'completed');
    assert.deepEqual(
      known.map(({ url }) => url),
      pictures.map(({ url }) => url),
    );
    const engine = await shared.host.ready();
    const drawn = tasks.find(({ type }) => type === 'generate')?.attempts.at(-1);
    assert.equal(drawn?.engine?.instance, engine.instance);
    assert.equal(drawn.engine.start, 'fresh');
    assert.equal(known[0]?.drawnBy?.graphDigest, engine.graphDigest);
    const html = await readFile(page, 'utf8');
    assert.equal(html.match(/<img src="data:image\/webp;base64,/g)?.length, 2);
    assert.match(html, /<h1>a &lt;red&gt; heart &amp; &quot;more&quot;<\/h1>/);
    assert.doesNotMatch(html, /<script|<link|https?:|url\(|@import|undefined|NaN/);
    assert.match(html, /class="steps" style="left:/);
  });

  test('pictures that are not there any more are said to be missing', async () => {
    const page = join(scratch, 'missing.html');
    const { code, stderr } = await command(join(HISTORIES, 'image-plain.json'), '--html', page);
    assert.equal(code, 0);
    assert.match(stderr, /2 of 2 pictures could not be fetched for the page: .*no such file/);
    assert.match(await readFile(page, 'utf8'), /not shown: .*no such file/);
  });

  test('pictures that took several attempts to store', async () => {
    let failures = 2;
    const store = {
      ...shared.store,
      async put(...parts: Parameters<typeof shared.store.put>) {
        if (failures-- > 0) throw new StorageUnavailable('the disk is full');
        return shared.store.put(...parts);
      },
    };
    const id = await shared.withHost({ store }, async () => {
      const job = await shared.server.diffusion.generate(small);
      await job.result();
      return job.id;
    });
    const { stdout } = await command(id);
    assert.match(
      stdout,
      /✖ storing, attempt 1: StorageUnavailable after .*\n.*\n.*the disk is full → tried again/,
    );
    assert.match(stdout, /✖ storing, attempt 2: StorageUnavailable after /);
    assert.match(stdout, /✔ stored in .*, attempt 3 · encode /);
  });

  test('refuses what is no job of ours, and what it does not understand', async () => {
    const none = await command('no-such-workflow');
    assert.equal(none.code, 1);
    assert.match(none.stderr, /^✖ expected the id of a workflow, but the server has no no-such-workflow\n$/);
    const wrong = [[], ['x', '--runs', '0'], [join(HISTORIES, 'image-plain.json'), '--run-id', 'x']];
    for (const argv of wrong) await assert.rejects(explainHere(argv), UsageError);
  });
});

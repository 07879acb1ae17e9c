/*
 * How long it takes to replay 1,000 recorded jobs, as one does before a release is rolled out:
 *
 *   npm run build && node dist/bench/replay.js
 *
 * The histories are those of test/histories, each as often as the next one, read before the clock starts; its start is
 * that of the worker that replays.
 */
import { loadavg } from 'node:os';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { type RecordedWorkflow, readHistory } from '../src/cli/history-file.js';
import { createLog } from '../src/cli/log.js';
import { replayAll } from '../src/cli/replay.js';
import { temporalSdkLoader } from '../src/cli/temporal-sdk.js';
import { recordedHistories } from '../test/support/histories.js';
import { publishSection, table, timing } from './report.js';

const { values } = parseArgs({
  options: { jobs: { type: 'string', default: '1000' }, runs: { type: 'string', default: '3' } },
});
const [jobs, runs] = [Number(values.jobs), Number(values.runs)];
const load = loadavg()[0] ?? 0;
const sdk = await temporalSdkLoader(createLog('silent'), 'ERROR')();

const paths = recordedHistories();
const kinds: readonly [string, readonly string[]][] = [
  ['image-plain', paths.filter((path) => basename(path) === 'image-plain.json')],
  ['all images', paths.filter((path) => basename(path).startsWith('image-'))],
  ['images and batches', paths.filter((path) => /^(image|batch)-/.test(basename(path)))],
];

/** Seconds that it took, by the clock and of all threads together. */
async function replay(histories: readonly RecordedWorkflow[]): Promise<{ wall: number; cpu: number }> {
  const begun = performance.now();
  const cpuBefore = process.cpuUsage();
  let replayed = 0;
  for await (const { workflowId, difference } of replayAll(sdk, histories)) {
    if (difference) throw new Error(`expected ${workflowId} to replay, got ${difference.message}`);
    replayed++;
  }
  if (replayed !== histories.length) throw new Error(`expected ${histories.length} replays, got ${replayed}`);
  const { user, system } = process.cpuUsage(cpuBefore);
  return { wall: (performance.now() - begun) / 1000, cpu: (user + system) / 1e6 };
}

const measured = kinds.map(([name]) => ({ name, seconds: [] as number[], cpu: [] as number[], events: 0 }));
for (let run = 0; run < runs; run++) {
  for (const [place, [, files]] of kinds.entries()) {
    const read = await Promise.all(files.map(readHistory));
    const histories = Array.from({ length: jobs }, (_, job) => read[job % read.length] as RecordedWorkflow);
    const entry = measured[place];
    if (!entry) continue;
    entry.events = histories.reduce((sum, { history }) => sum + (history.events?.length ?? 0), 0);
    const { wall, cpu } = await replay(histories);
    entry.seconds.push(wall);
    entry.cpu.push(cpu);
  }
}

const rows = measured.map(({ name, seconds, cpu, events }) => {
  const { median, min, max } = timing(seconds);
  const each = ((median / jobs) * 1000).toFixed(1);
  const busy = timing(cpu).median.toFixed(1);
  return [name, String(events), median.toFixed(1), min.toFixed(1), max.toFixed(1), each, busy];
});
await publishSection(
  `Replay of ${jobs} recorded jobs`,
  `node dist/bench/replay.js --jobs ${jobs} --runs ${runs}`,
  `${table(['histories', 'events', 'seconds, median', 'min', 'max', 'ms a job', 'seconds of CPU'], rows)}

${runs} runs of each, in alternation. One worker replays one history after the other; the histories are those of test/histories, in turn. The machine's load before it began was ${load.toFixed(1)}.`,
);
process.exit();

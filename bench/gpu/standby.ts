/*
 * Standby and turns, each beside one warm image of the same engine, in alternation:
 *
 *   node dist/bench/gpu/standby.js --work /dev/shm/tdiff [--shape 9b] [--turns 4b] [--device cuda:0] [--size 1024]
 *
 * - standby: an engine gives its memory back, takes it again after 3 s, draws its first picture, then a warm one;
 * - turns: two engines of which one may have memory; each is asked in its turn for a picture, then for a warm one.
 *
 * Checkpoints are made in the work folder where they are missing: 30 GB for `9b`, 14 GB for `4b`; both engines of the
 * turns read the same one. `--budget GB` takes all of the GPU's memory but that, so that two models don't fit. Without
 * a GPU or PyTorch: `--device cpu --size 64 --checkpoint DIR --turn-checkpoints DIR,DIR`. About two minutes for 9b and
 * 4b on an H100 whose weights lie in memory.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { DeviceName } from '../../src/gpu/engine/device-name.js';
import { Residents } from '../../src/gpu/host/residents.js';
import { createEngineHost, type EngineHost, type EngineHostOptions } from '../../src/gpu/host.js';
import { publishSection, table, timing } from '../report.js';
import { makeCheckpoint } from './checkpoints.js';
import { itemsOf, STEPS } from './lab.js';
import { differences, REST_MS, sampleStandby, sampleTurns } from './standby-samples.js';
import { takeAllBut } from './take-memory.js';

const { values } = parseArgs({
  options: {
    work: { type: 'string' },
    shape: { type: 'string', default: '9b' },
    turns: { type: 'string', default: '4b' },
    checkpoint: { type: 'string' },
    'turn-checkpoints': { type: 'string' },
    device: { type: 'string', default: 'cuda:0' },
    size: { type: 'string', default: '1024' },
    runs: { type: 'string', default: '7' },
    budget: { type: 'string' },
    publish: { type: 'boolean', default: false },
  },
});
if (values.work === undefined) throw new Error('expected --work FOLDER, with room for the checkpoints');
const work = values.work;
const device = DeviceName.parse(values.device);
const size = Number(values.size);
const runs = Number(values.runs);
const cacheFolder = join(work, 'cache');

async function checkpointOf(given: string | undefined, shape: string): Promise<string> {
  if (given !== undefined) return given;
  const folder = join(work, `klein-${shape}`);
  await makeCheckpoint(folder, shape);
  return folder;
}

function hostOf(model: string, checkpoint: string, options: Partial<EngineHostOptions> = {}): EngineHost {
  const log = pino({ level: process.env.BENCH_LOG ?? 'silent' }, pino.destination(2));
  return createEngineHost({
    ...{ model, checkpoint, device, cacheFolder, log },
    threads: availableParallelism(),
    exclusive: false,
    // With one, memory that was given back would be the keeper's, and come again without a stream.
    keeper: false,
    ...options,
  });
}

const row = (what: string, samples: readonly number[], unit = 'ms', digits = 0) => {
  const { median, min, max, runs } = timing(samples);
  const [mid, least, most] = [median, min, max].map((value) => value.toFixed(digits)) as [
    string,
    string,
    string,
  ];
  return [what, `${mid} ${unit}`, `${least}–${most}`, String(runs)];
};
const gigabytes = (bytes: readonly number[]) => bytes.map((each) => each / 1e9);
const HEADER = ['', 'median', 'range', 'runs'];

async function standby(checkpoint: string): Promise<string> {
  const host = hostOf('klein', checkpoint);
  try {
    const { release, resume, first, warm, text, heldBytes, leftBytes } = await sampleStandby(
      host,
      size,
      runs,
      REST_MS,
    );
    return table(HEADER, [
      row('release', release),
      row('resume, until it is answered', resume),
      row('standby → first picture', first),
      row('… of that until the text is encoded', text),
      row('one warm picture', warm),
      row('standby → first picture, less one warm picture', differences(first, warm)),
      row('memory of the device in use, warm', gigabytes(heldBytes), 'GB', 2),
      row('… in standby', gigabytes(leftBytes), 'GB', 2),
    ]);
  } finally {
    await host.close();
  }
}

async function turns(checkpoints: readonly string[]): Promise<string> {
  const residents = new Residents(1);
  const hosts = checkpoints.map((checkpoint, index) => hostOf(`model-${index}`, checkpoint, { residents }));
  try {
    for (const host of hosts) {
      for (let warmUp = 0; warmUp < 2; warmUp++) await host.render({ items: itemsOf(size, 1) });
    }
    const [first] = hosts as [EngineHost];
    await using ballast = await takeAllBut(
      device,
      first,
      values.budget === undefined ? undefined : Number(values.budget) * 1e9,
    );
    const { swapped, warm, usedBytes } = await sampleTurns(hosts, size, 2 * runs);
    const used = usedBytes.map((bytes) => bytes - ballast.bytes);
    const rows = [
      row('a picture by the model in standby', swapped),
      row('one warm picture', warm),
      row('swap: one less the other, per turn', differences(swapped, warm)),
      row('memory of the device in use after a turn', gigabytes(used), 'GB', 2),
    ];
    return `${ballast.bytes > 0 ? `Of the device's memory they had ${values.budget} GB.\n\n` : ''}${table(HEADER, rows)}`;
  } finally {
    await Promise.all(hosts.map((host) => host.close()));
  }
}

const one = await checkpointOf(values.checkpoint, values.shape);
const standbyTable = await standby(one);
const two = values['turn-checkpoints']?.split(',');
const turnsTable = await turns(two ?? Array<string>(2).fill(await checkpointOf(undefined, values.turns)));
const body = `${size}², ${STEPS} steps, weights in memory; medians of ${runs} runs.\n\n### An engine in standby, shape ${values.checkpoint ?? values.shape}\n\n${standbyTable}\n\n### Two models of which one may have memory, shape ${two?.join(' and ') ?? values.turns}\n\n${turnsTable}`;
const command = `node dist/bench/gpu/standby.js --work DIR --shape ${values.shape} --turns ${values.turns} --device ${device} --size ${size} --runs ${runs}${values.budget === undefined ? '' : ` --budget ${values.budget}`}`;
if (values.publish) await publishSection(`Standby and turns, ${device}`, command, body);
else process.stdout.write(`${command}\n\n${body}\n`);

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createProgressBar, describeProgress, duration } from '../src/cli/progress-bar.js';
import { Command, runCommand } from './support/command.js';
import { scratchFolder } from './support/scratch.js';
import { atTerminal, NO_TERMINAL, screenOf } from './support/terminal.js';

const scratch = scratchFolder();
let folders = 0;
function newFolder(): string {
  const folder = join(scratch, String(folders++));
  mkdirSync(folder);
  return folder;
}

const small = { width: 64, height: 64, steps: 1 };
const jsonLines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

describe('progress', () => {
  const progress = {
    total: 200,
    isGuess: true,
    done: 90,
    failed: 1,
    unchanged: 9,
    rate: 2.5,
    secondsLeft: 40,
  };

  test('is one line in words', () => {
    assert.equal(
      describeProgress(progress),
      '100 of about 200 · 1 failed · 9 there already · 2.50 a second · 40 s left',
    );
    assert.deepEqual(
      [duration(59.6), duration(3599), duration(7260)],
      ['1 min 0 s', '59 min 59 s', '2 h 1 min'],
    );
  });

  test('is a bar that is drawn over at a terminal, and lines elsewhere', () => {
    const written: string[] = [];
    const stream = (isTTY: boolean) =>
      ({ isTTY, columns: 60, write: (text: string) => written.push(text) }) as unknown as NodeJS.WriteStream;
    const bar = createProgressBar(stream(true));
    bar.show(progress);
    bar.note('x');
    bar.end();
    assert.match(written[0] ?? '', /^\r█{15}░{15} 100 of about 200/);
    assert.ok([...(written[0] ?? '')].length <= 60 + 4);
    assert.deepEqual(written.slice(1), ['\n', 'x\n']);
    written.length = 0;
    const plain = createProgressBar(stream(false));
    plain.show(progress);
    plain.show({ ...progress, done: 91 });
    plain.show({ ...progress, done: 92 });
    plain.end();
    assert.deepEqual(
      written.map((line) => line.split(' ')[0]),
      ['100', '102'],
    );
  });
});

describe('batch', () => {
  test('draws the requests of a file, tells each, and ends with 3 where some failed', async () => {
    const cwd = newFolder();
    const rows = [
      { ...small, prompt: 'a heart', seed: 1 },
      { ...small, prompt: 'a star', width: 1024 },
      { ...small, prompt: 'a tree', seed: 3, count: 2 },
    ];
    await writeFile(join(cwd, 'rows.jsonl'), jsonLines(rows));
    const { code, stdout, stderr, command } = await runCommand(['batch', 'rows.jsonl'], { cwd });
    assert.equal(code, 3, stderr);
    assert.match(stdout, /^1: out\/a-heart-1-[0-9a-f]{8}\.png · seed 1$/m);
    assert.match(stdout, /^2: failed: .*expected a multiple of 16/m);
    assert.match(stdout, /^3: out\/a-tree-4-/m);
    assert.match(stdout, /^2 done, 1 failed in .*\nworkflow generate-batch\//m);
    assert.match(stderr, /3 of 3 · 1 failed/);
    await command.leavesNothingBehind();
  });

  test('with --json tells events, one a line', async () => {
    const cwd = newFolder();
    await writeFile(join(cwd, 'rows.jsonl'), jsonLines([{ ...small, prompt: 'a heart' }]));
    const { code, stdout } = await runCommand(['batch', 'rows.jsonl', '--json'], { cwd });
    assert.equal(code, 0);
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      events.map(({ event }) => event),
      ['started', 'item', 'ended'],
    );
    assert.equal(events[1].images.length, 1);
  });

  const bad: [name: string, text: string, message: RegExp][] = [
    ['no JSON', '{"prompt":"x"}\n{oops\n', /^✖ expected a JSON object a line, .*\n {2}→ at line 2\n$/],
    ['a bad request', '{"prompt":"x"}\n{"prompt":""}\n', /→ at items\[1\]\.prompt\n$/],
    ['nothing', '\n', /^✖ expected 1 to 1000 items/],
  ];
  for (const [name, text, message] of bad) {
    test(`refuses a file with ${name}, with exit code 2`, async () => {
      const cwd = newFolder();
      await writeFile(join(cwd, 'rows.jsonl'), text);
      const { code, stderr } = await runCommand(['batch', 'rows.jsonl'], { cwd });
      assert.equal(code, 2);
      assert.match(stderr, message);
    });
  }
});

describe('catalog', () => {
  test('draws a picture a row, and those that are there not again', async () => {
    const cwd = newFolder();
    await writeFile(join(cwd, 'rows.csv'), 'id,product\n1,mug\n2,cup\n3,jug\n');
    const argv = ['catalog', 'rows.csv', '--template', 'a {{product}}', '--size', '64x64', '--steps', '1'];
    const dry = await runCommand([...argv, '--dry-run'], { cwd });
    assert.equal(dry.code, 0, dry.stderr);
    assert.match(
      dry.stdout,
      /^3 rows: 3 to draw, 0 there already, 0 refused\n {2}3 of 64×64, 1 steps of emoji\n/,
    );
    const first = await runCommand(argv, { cwd });
    assert.equal(first.code, 0, first.stderr);
    assert.match(
      first.stdout,
      /^3 rows: 3 drawn, 0 there already, 0 failed\n.*\nrows\.csv\.sheet\.webp\nworkflow /,
    );
    const again = await runCommand([...argv, '--json'], { cwd });
    const events = again.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual([events.at(-1).event, events.at(-1).unchanged, events.at(-1).done], ['ended', 3, 0]);
    assert.ok((await readdir(cwd)).includes('rows.csv.results'));
  });

  test('that is interrupted keeps what is drawn', async () => {
    const cwd = newFolder();
    const rows = Array.from({ length: 60 }, (_, row) => ({ prompt: `heart ${row}`, ...small }));
    await writeFile(join(cwd, 'rows.jsonl'), jsonLines(rows));
    const command = new Command(['catalog', 'rows.jsonl', '--json', '--concurrency', '1'], { cwd });
    while (!/"done":[1-9]/.test(command.stdout)) {
      const ended = await Promise.race([command.ended, new Promise((resolve) => setTimeout(resolve, 50))]);
      assert.equal(ended, undefined, command.stderr);
    }
    command.kill('SIGINT');
    assert.equal(await command.ended, 130);
    const rest = await runCommand(['catalog', 'rows.jsonl'], { cwd });
    assert.equal(rest.code, 0, rest.stderr);
    assert.match(rest.stdout, /^60 rows: \d+ drawn, [1-9]\d* there already, 0 failed/);
  });

  for (const columns of [100, 44]) {
    const skip = NO_TERMINAL;
    test(`at a terminal of ${columns} columns is one line that is drawn over`, { skip }, async () => {
      const cwd = newFolder();
      const rows = Array.from({ length: 40 }, (_, row) => ({ prompt: `heart ${row}`, ...small }));
      await writeFile(join(cwd, 'rows.jsonl'), jsonLines(rows));
      const { code, output } = await atTerminal(['catalog', 'rows.jsonl'], { cwd, columns });
      assert.equal(code, 0, output);
      const { lines, drawn } = screenOf(output, columns);
      const isBar = (line: string) => /^[█░]{20}/.test(line);
      const last = lines.findIndex(isBar);
      assert.equal(lines.findLastIndex(isBar), last, lines.join('\n'));
      assert.match(lines[last] ?? '', /^█{30} 40 of 40/);
      assert.match(lines[last + 1] ?? '', /^40 rows: 40 drawn/);
      const states = new Set(drawn.filter(isBar).map((line) => line.slice(0, 30)));
      assert.ok(states.size >= 3, [...states].join('\n'));
    });
  }

  test('at a terminal is interrupted by Ctrl-C, and leaves the cursor on a line of its own', {
    skip: NO_TERMINAL,
  }, async () => {
    const cwd = newFolder();
    const rows = Array.from({ length: 400 }, (_, row) => ({ prompt: `heart ${row}`, ...small }));
    await writeFile(join(cwd, 'rows.jsonl'), jsonLines(rows));
    const { code, output } = await atTerminal(['catalog', 'rows.jsonl'], {
      cwd,
      columns: 80,
      type: { after: /█/, keys: '\u0003' },
    });
    assert.equal(code, 130, output);
    const { lines } = screenOf(output, 80);
    assert.equal(lines.at(-1), '', lines.join('\n'));
    assert.equal(lines.filter((line) => /^[█░]{20}/.test(line)).length, 1, lines.join('\n'));
    const rest = await runCommand(['catalog', 'rows.jsonl', '--dry-run'], { cwd });
    assert.match(rest.stdout, /^400 rows: \d+ to draw, [1-9]\d* there already, 0 refused/);
  });

  test('that is not there is told in one line', async () => {
    const { code, stderr } = await runCommand(['catalog', 'none.jsonl'], { cwd: newFolder() });
    assert.equal(code, 1);
    assert.match(stderr, /✖ can't read .*none\.jsonl: there is no such file or folder/);
  });
});

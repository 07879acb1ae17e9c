import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

/*
 * Runs the tests that were compiled beside this file, all or those whose path contains one of the arguments, and
 * ends with the line `N passed, N failed, N skipped`.
 */

const here = fileURLToPath(new URL('.', import.meta.url));
const filters = process.argv.slice(2);

const files = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js'))
  .filter((name) => filters.length === 0 || filters.some((filter) => name.includes(filter)))
  .sort()
  .map((name) => join(here, name));

if (files.length === 0) {
  console.error(`expected test files whose name contains ${filters.join(' or ')}, found none`);
  process.exit(1);
}

let passed = 0;
let failed = 0;
const skipped: string[] = [];

/** Node reports a file as a test of its own where it holds none, or fails outside of one. */
const isFile = (name: string): boolean => files.includes(name);

// The timeout is a whole file's. Two files at a time: much of each is waiting, and no test depends on the machine's speed.
const stream = run({ files, concurrency: 2, timeout: 900_000 });
stream.on('test:pass', ({ name, skip, details }) => {
  if (details.type === 'suite' || isFile(name)) return;
  if (skip === undefined || skip === false) passed++;
  else skipped.push(`${name}${typeof skip === 'string' && skip !== '' ? `: ${skip}` : ''}`);
});
stream.on('test:fail', ({ name, file, details }) => {
  if (details.type === 'suite') return;
  failed++;
  console.error(`failed: ${name}${file ? ` (${relative(here, file)})` : ''}`);
});

stream.compose(new spec()).pipe(process.stdout);
stream.on('end', () => {
  // After the reporter's last words.
  setImmediate(() => {
    for (const reason of skipped) console.log(`skipped ${reason}`);
    console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
    process.exitCode = failed > 0 ? 1 : 0;
  });
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { failureDocument } from '../src/cli/failure-report.js';
import { Interrupted } from '../src/cli/interrupt.js';
import { UsageError } from '../src/cli/usage-error.js';
import * as errors from '../src/contract/errors.js';
import { packageRoot } from '../src/package-root.js';

const page = readFileSync(join(packageRoot(), 'docs', 'operations.md'), 'utf8');

/** The rows of the table below a heading, by what stands in their first cell. */
function rowsBelow(heading: string): Map<string, string[]> {
  const part = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  assert.ok(part !== undefined, heading);
  const rows = part.split('\n').filter((line) => line.startsWith('| '));
  return new Map(
    rows.map((row) => {
      const [first = '', ...cells] = row.slice(2, -2).split(/(?<!\\)\|/);
      return [first.trim().replaceAll('`', ''), cells.map((cell) => cell.trim())];
    }),
  );
}

const kinds = Object.values(errors).flatMap((kind) =>
  typeof kind === 'function' && 'type' in kind && typeof kind.type === 'string' ? [kind.type] : [],
);

test('every kind of error has its row, which says what it means and what to do, and no other kind has one', () => {
  const rows = rowsBelow('Errors of jobs');
  assert.ok(kinds.length >= 16);
  assert.deepEqual([...rows.keys()].filter((name) => /^[A-Z]/.test(name)).sort(), [...kinds].sort());
  for (const kind of kinds) {
    const cells = rows.get(kind) ?? [];
    assert.equal(cells.length, 4, kind);
    for (const cell of cells) assert.ok(cell.length > 0, `${kind}: ${cells.join(' | ')}`);
  }
});

test("every type that a command's failure can have is explained", () => {
  const rows = rowsBelow('Errors of commands');
  const failures = [new UsageError('x'), new Interrupted('x', 130), new Error('x')];
  for (const { error } of failures.map((failure) => failureDocument(failure))) {
    assert.ok(rows.has(error.type), error.type);
  }
});

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { packageRoot } from '../src/package-root.js';
import { scratchFolder } from './support/scratch.js';

const scratch = scratchFolder();

/** What somebody looks up in each part of the package. */
const PAGES: Readonly<Record<string, RegExp>> = {
  'index/functions/createGpuWorker.md': /One host's worker/,
  'client/classes/DiffusionClient.md': /### generate\(\)[\s\S]*idempotency key/,
  'contract/variables/GenerateRequest.md': /Unknown fields are refused/,
  'workflows/functions/generateImage.md': /generateImage/,
};

test('the API reference has all parts of the package', async () => {
  const read = async (path: string) => JSON.parse(await readFile(join(packageRoot(), path), 'utf8'));
  const parts = Object.values<{ default?: string }>((await read('package.json')).exports);
  const sources = parts.flatMap(
    (part) => part.default?.replace('./dist', '../..').replace(/\.js$/, '.ts') ?? [],
  );
  assert.deepEqual((await read('tools/api-docs/typedoc.json')).entryPoints.sort(), sources.sort());
});

test('the API reference can be made, and every export of the public parts has a comment in it', async () => {
  // A warning, of an export without a comment or a link that leads nowhere, makes it fail.
  await promisify(execFile)('npm', ['run', 'docs', '--', '--out', scratch], { cwd: packageRoot() }).catch(
    ({ stdout, stderr }: { stdout: string; stderr: string }) => assert.fail(`${stdout}\n${stderr}`),
  );
  for (const [page, text] of Object.entries(PAGES)) {
    assert.match(await readFile(join(scratch, page), 'utf8'), text, page);
  }
});

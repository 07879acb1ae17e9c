import assert from 'node:assert/strict';
import { readFileSync, realpathSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { DeviceLost } from '../src/contract/errors.js';
import { programFile } from '../src/gpu/programs/places.js';
import { linkProviders, PROVIDER_LIBRARIES } from '../src/gpu/runtime/cuda/provider-libraries.js';
import { openRuntime, startDevice } from '../src/gpu/runtime/open-runtime.js';
import { packageRoot } from '../src/package-root.js';
import { scratchFolder } from './support/scratch.js';

const cacheFolder = scratchFolder();

/** The packages that a compiled module of ours is not read without. */
function packagesOf(file: string, seen = new Set<string>()): Set<string> {
  const packages = new Set<string>();
  if (seen.has(file)) return packages;
  seen.add(file);
  const code = readFileSync(file, 'utf8');
  // What was bundled is named where it begins.
  for (const [, name = ''] of code.matchAll(/^\/\/ node_modules\/((?:@[^/]+\/)?[^/]+)/gm)) packages.add(name);
  for (const [, name = ''] of code.matchAll(/^(?:import|export) (?:[^'";]*? from )?['"]([^'"]+)['"]/gm)) {
    if (!name.startsWith('.')) packages.add(name);
    else for (const each of packagesOf(resolve(dirname(file), name), seen)) packages.add(each);
  }
  return packages;
}

test('a GPU begins before anything is read that takes longer than its own calls', () => {
  const cudaStart = join(packageRoot(), 'dist', 'src', 'gpu', 'runtime', 'cuda', 'cuda-start.js');
  for (const module of [programFile('engine'), programFile('keeper'), cudaStart]) {
    const packages = packagesOf(module);
    const others = [...packages].filter((name) => !name.startsWith('node:') && name !== 'koffi');
    assert.deepEqual(others, [], module);
  }
  // So it would be told.
  assert.ok(packagesOf(programFile('inputs-worker')).has('@huggingface/tokenizers'));
});

test('nothing begins for another device, or for what is no request at all', async () => {
  for (const told of [
    { device: 'cpu', cacheFolder: '/' },
    { device: 'cuda:0' },
    { device: 7 },
    null,
    'cuda:0',
  ]) {
    assert.equal(await startDevice(told), undefined, JSON.stringify(told));
  }
});

test('what a GPU begins with and has not got is told to whoever opens its runtime', async () => {
  // No machine has so many.
  const device = 'cuda:999';
  const start = await startDevice({ device, cacheFolder });
  assert.ok(start);
  await Promise.allSettled([start.driver, start.ort]);
  await assert.rejects(openRuntime({ device, threads: 1, cacheFolder, start }), DeviceLost);
});

test('engines that start at the same time find the libraries where each of them has linked them', async () => {
  const libraries = join(cacheFolder, 'libraries');
  await mkdir(libraries);
  for (const name of PROVIDER_LIBRARIES) await writeFile(join(libraries, name), '');
  for (let round = 0; round < 100; round++) {
    const folder = join(cacheFolder, `round-${round}`);
    const engine = async () => {
      const library = await linkProviders(folder, libraries);
      // What a link that is gone is not.
      realpathSync(library);
      for (const name of PROVIDER_LIBRARIES) realpathSync(join(dirname(library), name));
    };
    await Promise.all([engine(), engine(), engine(), engine()]);
  }
});

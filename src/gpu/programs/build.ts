import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { licencesOf } from '../../bundled-licences.js';
import { packageRoot } from '../../package-root.js';
import { writeAtomically } from '../../storage/atomic-write.js';
import { PROGRAMS } from './places.js';

/*
 * Build step: bundles the compiled programs, each with what it imports, into this folder. An engine is then read from
 * a few files in place of 250, which takes half of the time. What several have in common is in `part-….js`; files
 * that are as they should be are left alone, since engines may run from them.
 */

const here = dirname(fileURLToPath(import.meta.url));
const gpu = dirname(here);

/** Packages with machine code of their own. */
const NATIVE = ['koffi', 'onnxruntime-node'];
const LICENCES = 'LICENCES.txt';

const { outputFiles, metafile } = await build({
  entryPoints: Object.fromEntries(
    Object.entries(PROGRAMS).map(([name, module]) => [name, join(gpu, `${module}.js`)]),
  ),
  ...{ outdir: here, chunkNames: 'part-[hash]', absWorkingDir: packageRoot() },
  ...{ bundle: true, splitting: true, write: false, metafile: true, logLevel: 'warning' },
  ...{ format: 'esm', platform: 'node', target: 'node20.3', external: NATIVE },
  // Packages of CommonJS ask for Node's own modules by it.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);",
  },
});
const files = new Map(outputFiles.map(({ path, contents }) => [basename(path), Buffer.from(contents)]));
files.set(LICENCES, Buffer.from(await licencesOf(Object.keys(metafile.inputs))));
for (const [name, contents] of files) {
  const file = join(here, name);
  const found = await readFile(file).catch(() => undefined);
  if (!found?.equals(contents)) await writeAtomically(file, contents);
}
for (const name of await readdir(here)) {
  if (/^part-.*\.js$/.test(name) && !files.has(name)) await rm(join(here, name));
}

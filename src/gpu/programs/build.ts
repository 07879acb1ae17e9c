import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile } from 'esbuild';
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
files.set(LICENCES, Buffer.from(await licencesOf(metafile)));
for (const [name, contents] of files) {
  const file = join(here, name);
  const found = await readFile(file).catch(() => undefined);
  if (!found?.equals(contents)) await writeAtomically(file, contents);
}
for (const name of await readdir(here)) {
  if (/^part-.*\.js$/.test(name) && !files.has(name)) await rm(join(here, name));
}

/** The licences of all that was bundled and is not ours. @throws Error where a package has none */
async function licencesOf({ inputs }: Metafile): Promise<string> {
  const folders = Object.keys(inputs).map((path) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  const texts = [...new Set(folders)].sort().map(async (folder) => {
    if (folder === undefined) return [];
    const names = (await readdir(join(packageRoot(), folder))).filter((name) =>
      /^(licen[cs]e|notice|copying)/i.test(name),
    );
    if (names.length === 0) throw new Error(`${folder}: expected a file with its licence, found none`);
    const contents = names.sort().map((name) => readFile(join(packageRoot(), folder, name), 'utf8'));
    return [`${folder.replace(/^.*node_modules\//, '')}\n\n${(await Promise.all(contents)).join('\n')}`];
  });
  return (await Promise.all(texts)).flat().join(`\n${'='.repeat(80)}\n`);
}

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { licencesOf } from '../bundled-licences.js';
import { packageRoot } from '../package-root.js';
import { writeAtomically } from '../storage/atomic-write.js';
import { WORKFLOW_BUNDLE } from './bundle-path.js';

/*
 * Build step: bundles the compiled workflows once, so that our own workers start without webpack (about 3 s).
 * The bundle's first line holds the digest of what it was made from; with the same digest nothing is done.
 */

const require = createRequire(import.meta.url);
const here = dirname(fileURLToPath(import.meta.url));

/** What the bundle depends on: our compiled code that the sandbox may import, and the versions of what it imports. */
async function digestOfInputs(): Promise<string> {
  const hash = createHash('sha256');
  for (const folder of [here, join(here, '..', 'contract')]) {
    for (const name of (await readdir(folder)).filter((name) => name.endsWith('.js')).sort()) {
      hash.update(name).update(await readFile(join(folder, name)));
    }
  }
  const tracing = '@temporalio/interceptors-opentelemetry';
  for (const dependency of ['@temporalio/workflow', '@temporalio/worker', tracing, 'zod']) {
    hash.update(await readFile(require.resolve(`${dependency}/package.json`)));
  }
  return hash.digest('hex');
}

const MAP = /(?<=sourceMappingURL=data:application\/json;charset=utf-8;base64,)[A-Za-z0-9+/=]+/;

/** Takes the folder of whoever builds this out of the bundle's map of its sources, which is published with it. */
function withoutBuildFolder(code: string): string {
  return code.replace(MAP, (map) =>
    Buffer.from(Buffer.from(map, 'base64').toString().replaceAll(`${packageRoot()}/`, '')).toString('base64'),
  );
}

/** By the bundle's own map. */
function sourcesOf(code: string): string[] {
  const map = JSON.parse(Buffer.from(MAP.exec(code)?.[0] ?? '', 'base64').toString()) as {
    sources: string[];
  };
  return map.sources;
}

const LICENCES = WORKFLOW_BUNDLE.replace(/\.js$/, '.licences.txt');
const stamp = `// made from ${await digestOfInputs()}\n`;
const current = existsSync(WORKFLOW_BUNDLE) ? await readFile(WORKFLOW_BUNDLE, 'utf8') : '';
if (!current.startsWith(stamp) || !existsSync(LICENCES)) {
  // Only now: loading it takes longer than finding that there is nothing to do.
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker');
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(here, 'index.js'),
    workflowInterceptorModules: [join(here, 'trace.js')],
    logger: new DefaultLogger('WARN'),
  });
  const bundle = withoutBuildFolder(code);
  await writeAtomically(LICENCES, Buffer.from(await licencesOf(sourcesOf(bundle))));
  await writeAtomically(WORKFLOW_BUNDLE, Buffer.from(stamp + bundle));
}

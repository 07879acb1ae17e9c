import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const Manifest = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

/** Needed by their install scripts only. */
const NEVER_IMPORTED = new Set(['adm-zip', 'global-agent']);

/**
 * The packages that `names` need to run, themselves included, sorted. Optional ones count where they are installed.
 * @param root the folder whose node_modules has them all, each once
 */
export async function packagesFor(names: readonly string[], root: string): Promise<string[]> {
  const found = new Set<string>();
  const visit = async (name: string) => {
    if (found.has(name) || NEVER_IMPORTED.has(name)) return;
    found.add(name);
    const file = join(root, 'node_modules', name, 'package.json');
    const { dependencies, optionalDependencies } = Manifest.parse(JSON.parse(await readFile(file, 'utf8')));
    for (const dependency of Object.keys(dependencies)) await visit(dependency);
    for (const optional of Object.keys(optionalDependencies)) {
      if (await isInstalled(optional, root)) await visit(optional);
    }
  };
  for (const name of names) await visit(name);
  return [...found].sort();
}

function isInstalled(name: string, root: string): Promise<boolean> {
  return access(join(root, 'node_modules', name)).then(
    () => true,
    () => false,
  );
}

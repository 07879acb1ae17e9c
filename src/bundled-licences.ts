import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from './package-root.js';

/*
 * Part of the build: what is bundled of other packages is published with their licences.
 */

/** From the first `node_modules` on, since packages may have packages of their own; webpack says more before it. */
const PACKAGE = /node_modules\/(?:.*\/node_modules\/)?((?:@[^/]+\/)?[^/]+)/;
const LICENCE = /^(licen[cs]e|notice|copying)/i;

/**
 * The licences and notices of all packages that some modules are of, one below the other.
 * @param modules paths below this package's folder; those that are not in `node_modules` are ours
 * @throws Error where a package has none
 */
export async function licencesOf(modules: Iterable<string>): Promise<string> {
  const packages = new Map<string, string>();
  for (const path of modules) {
    const [folder, name] = PACKAGE.exec(path) ?? [];
    if (folder !== undefined && name !== undefined) packages.set(name, folder);
  }
  const texts = [...packages].sort().map(async ([name, path]) => {
    const folder = join(packageRoot(), path);
    const files = (await readdir(folder)).filter((file) => LICENCE.test(file)).sort();
    if (files.length === 0) throw new Error(`${folder}: expected a file with its licence, found none`);
    const contents = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
    return `${name}\n\n${contents.join('\n')}`;
  });
  return (await Promise.all(texts)).join(`\n${'='.repeat(80)}\n`);
}

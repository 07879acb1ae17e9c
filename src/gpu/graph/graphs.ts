import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeAtomically } from '../../storage/atomic-write.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { buildBert } from './bert.js';
import type { ComputeType, Graph } from './builder.js';
import { buildFlux2Transformer } from './flux2-transformer.js';
import { buildQwen3 } from './qwen3.js';
import { buildVaeDecoder, type VaeComputeType } from './vae-decoder.js';

const COMPONENTS = ['textEncoder', 'transformer', 'vaeDecoder'] as const;
type Component = (typeof COMPONENTS)[number];

/** The graphs of a checkpoint's components. */
export interface Graphs extends Readonly<Record<Component, Graph>> {
  /** SHA-256 over the three. */
  readonly digest: string;
}

/** What every component computes in. */
export interface ComputeTypes {
  readonly textEncoder: ComputeType;
  readonly transformer: ComputeType;
  readonly vaeDecoder: VaeComputeType;
  /** Whether there are kernels for operators of our own: transformer and VAE then have them. Default: false. */
  readonly ownOperators?: boolean;
}

/** What ONNX Runtime's CPU kernels compute in. */
export const FLOAT32: ComputeTypes = {
  textEncoder: 'float32',
  transformer: 'float32',
  vaeDecoder: 'float32',
};

export interface LoadGraphsOptions {
  readonly cacheFolder: string;
  readonly compute: ComputeTypes;
}

/**
 * Builds the graphs of a checkpoint, or takes them from the cache. A cached graph is used only while the
 * configs, the headers of the weights, the compute types and the code that builds graphs are what they were.
 * @throws CheckpointInvalid
 */
export async function loadGraphs(
  checkpoint: Checkpoint,
  { cacheFolder, compute }: LoadGraphsOptions,
): Promise<Graphs> {
  const folder = join(cacheFolder, 'graphs', await graphKey(checkpoint, compute));
  const cached = await readCached(folder, compute);
  if (cached) return cached;
  const graphs = buildGraphs(checkpoint, compute);
  await writeCached(folder, graphs);
  return graphs;
}

/** @throws CheckpointInvalid where a weight is missing or does not fit its config */
export function buildGraphs(checkpoint: Checkpoint, compute: ComputeTypes): Graphs {
  const { textEncoder, transformer, vae, generation } = checkpoint;
  const { ownOperators = false } = compute;
  return withDigest({
    textEncoder: buildTextEncoder(textEncoder, generation.text_encoder_out_layers, compute),
    transformer: buildFlux2Transformer(transformer.config, transformer.weights, compute.transformer, {
      ownOperators,
    }),
    vaeDecoder: buildVaeDecoder(vae.config, vae.weights, compute.vaeDecoder, { ownOperators }),
  });
}

function buildTextEncoder(
  { config, weights }: Checkpoint['textEncoder'],
  outputLayers: readonly number[],
  { textEncoder: compute, ownOperators = false }: ComputeTypes,
): Graph {
  switch (config.model_type) {
    case 'bert':
      return buildBert(config, weights, outputLayers, compute);
    case 'qwen3':
      return buildQwen3(config, weights, outputLayers, compute, { ownOperators });
  }
}

function withDigest(graphs: Omit<Graphs, 'digest'>): Graphs {
  const digest = createHash('sha256');
  for (const component of COMPONENTS) digest.update(graphs[component].bytes);
  return { ...graphs, digest: digest.digest('hex') };
}

async function graphKey(checkpoint: Checkpoint, compute: ComputeTypes): Promise<string> {
  const key = createHash('sha256');
  const { textEncoder, transformer, vae, generation } = checkpoint;
  const types = COMPONENTS.map((component) => compute[component]);
  key.update(JSON.stringify([generation, types, compute.ownOperators ?? false]));
  for (const { config, weights } of [textEncoder, transformer, vae]) {
    key.update(JSON.stringify([config, weights.folder, [...weights.tensors]]));
  }
  const code = fileURLToPath(new URL('../graph/', import.meta.url));
  for (const file of (await readdir(code)).filter((name) => /\.[jt]s$/.test(name)).sort()) {
    key.update(await readFile(join(code, file)));
  }
  return key.digest('hex');
}

const WEIGHTS_FILE = 'weights.json';
const DIGEST_FILE = 'digest';

type GraphWeights = Readonly<Record<Component, Pick<Graph, 'weights' | 'stages'>>>;

async function readCached(folder: string, compute: ComputeTypes): Promise<Graphs | undefined> {
  try {
    const [weightsText, digest, ...bytes] = await Promise.all([
      readFile(join(folder, WEIGHTS_FILE), 'utf8'),
      readFile(join(folder, DIGEST_FILE), 'utf8'),
      ...COMPONENTS.map((component) => readFile(join(folder, `${component}.onnx`))),
    ]);
    const weights = JSON.parse(weightsText) as GraphWeights;
    const graphs = withDigest(
      Object.fromEntries(
        COMPONENTS.map((component, index) => [
          component,
          { bytes: bytes[index], ...weights[component], compute: compute[component] },
        ]),
      ) as unknown as Omit<Graphs, 'digest'>,
    );
    return digest === cacheDigest(graphs, weightsText) ? graphs : undefined;
  } catch {
    return undefined;
  }
}

/** A list of the weights lies beside the graphs: decoding these for it takes a tenth of a second. */
async function writeCached(folder: string, graphs: Graphs): Promise<void> {
  const write = (name: string, contents: Uint8Array | string) =>
    writeAtomically(join(folder, name), Buffer.from(contents), { durable: false });
  try {
    await mkdir(folder, { recursive: true });
    for (const component of COMPONENTS) await write(`${component}.onnx`, graphs[component].bytes);
    const weights = JSON.stringify(
      Object.fromEntries(
        COMPONENTS.map((component) => {
          const { weights, stages } = graphs[component];
          return [component, { weights, stages }];
        }),
      ),
    );
    await write(WEIGHTS_FILE, weights);
    await write(DIGEST_FILE, cacheDigest(graphs, weights));
  } catch {
    // A cache that can't be written is no reason to fail: graphs are built in milliseconds.
  }
}

/** Of all that the cache holds. */
function cacheDigest({ digest }: Graphs, weights: string): string {
  return createHash('sha256').update(digest).update(weights).digest('hex');
}

import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { CheckpointInvalid } from '../../contract/errors.js';
import type { ModelCard } from '../../contract/model-card.js';
import {
  GenerationConfig,
  ModelIndex,
  SchedulerConfig,
  TEXT_ENCODER_CLASS,
  TextEncoderConfig,
  TransformerConfig,
  VaeConfig,
} from './configs.js';
import { checkpointDigest } from './digest.js';
import { fileExists } from './file-exists.js';
import { readJsonFile } from './json-file.js';
import { readWeights, type Weights } from './weights.js';

/** One part of the pipeline: what its config says and where its weights lie. */
export interface Component<Config> {
  readonly config: Config;
  readonly weights: Weights;
}

/** A model folder in diffusers' layout, read and checked, with no weights in memory. */
export interface Checkpoint {
  readonly folder: string;
  readonly card: ModelCard;
  readonly transformer: Component<TransformerConfig>;
  readonly vae: Component<VaeConfig>;
  readonly textEncoder: Component<TextEncoderConfig>;
  readonly scheduler: SchedulerConfig;
  readonly generation: GenerationConfig;
}

export interface OpenCheckpointOptions {
  /** The model's name, as requests and queues have it. */
  readonly name: string;
  /** Where file digests are remembered. */
  readonly cacheFolder: string;
}

/**
 * Reads a checkpoint's configs and the headers of its weights.
 * @throws CheckpointInvalid where anything is missing, damaged, or not supported
 */
export async function openCheckpoint(folder: string, options: OpenCheckpointOptions): Promise<Checkpoint> {
  const root = await realpath(folder).catch((cause: NodeJS.ErrnoException) => {
    throw new CheckpointInvalid(`${folder}: expected a checkpoint folder, got ${cause.code}`, { cause });
  });
  const index = await readJsonFile(join(root, 'model_index.json'), ModelIndex);
  const [transformer, vae, textEncoder, scheduler, generation] = await Promise.all([
    readComponent(root, 'transformer', TransformerConfig, 'diffusion_pytorch_model'),
    readComponent(root, 'vae', VaeConfig, 'diffusion_pytorch_model'),
    readComponent(root, 'text_encoder', TextEncoderConfig, 'model'),
    readJsonFile(join(root, 'scheduler', 'scheduler_config.json'), SchedulerConfig),
    readGeneration(root),
  ]);
  requireMatch(root, index, transformer.config, vae.config, textEncoder.config, generation);

  const unit = 2 ** (vae.config.decoder_channels.length - 1) * vae.config.patch_size[0];
  return {
    folder: root,
    card: {
      name: options.name,
      digest: await checkpointDigest(root, options.cacheFolder),
      unit,
      minSide: generation.min_side,
      maxSide: generation.max_side,
      defaultWidth: generation.width,
      defaultHeight: generation.height,
      defaultSteps: generation.num_inference_steps,
      // `is_distilled` models take no classifier-free guidance, and `guidance_embeds` is refused above.
      guidance: !index.is_distilled,
      maxTokens: generation.max_sequence_length,
    },
    transformer,
    vae,
    textEncoder,
    scheduler,
    generation,
  };
}

async function readComponent<Schema extends z.ZodType>(
  root: string,
  name: string,
  schema: Schema,
  stem: string,
): Promise<Component<z.output<Schema>>> {
  const folder = join(root, name);
  const config = await readJsonFile(join(folder, 'config.json'), schema);
  return { config, weights: await readWeights(folder, stem) };
}

async function readGeneration(root: string): Promise<GenerationConfig> {
  const file = join(root, 'generation.json');
  return (await fileExists(file)) ? readJsonFile(file, GenerationConfig) : GenerationConfig.parse({});
}

/** The components are each right by themselves; here: whether they fit together. */
function requireMatch(
  root: string,
  index: ModelIndex,
  transformer: TransformerConfig,
  vae: VaeConfig,
  textEncoder: TextEncoderConfig,
  generation: GenerationConfig,
): void {
  const require = (holds: boolean, message: string) => {
    if (!holds) throw new CheckpointInvalid(`${root}: ${message}`);
  };
  const [, className] = index.text_encoder;
  require(className ===
    TEXT_ENCODER_CLASS[
      textEncoder.model_type
    ], `model_index.json has a ${className} for text_encoder, its config is a ${textEncoder.model_type}'s`);
  const embedding = textEncoder.hidden_size * generation.text_encoder_out_layers.length;
  require(transformer.joint_attention_dim ===
    embedding, `transformer expects prompt embeddings of ${transformer.joint_attention_dim}, text_encoder and generation.json make ${embedding}`);
  const patch = vae.latent_channels * vae.patch_size[0] * vae.patch_size[1];
  require(transformer.in_channels ===
    patch, `transformer expects ${transformer.in_channels} channels a token, vae's patches have ${patch}`);
  require(generation.preview?.weights.every((row) => row.length === transformer.in_channels) ??
    true, `generation.json: expected preview weights for ${transformer.in_channels} channels`);
  const deepest = Math.max(...generation.text_encoder_out_layers);
  require(deepest <=
    textEncoder.num_hidden_layers, `generation.json asks for hidden state ${deepest}, text_encoder has ${textEncoder.num_hidden_layers} layers`);
  require(generation.max_sequence_length <=
    textEncoder.max_position_embeddings, `generation.json asks for ${generation.max_sequence_length} tokens, text_encoder takes ${textEncoder.max_position_embeddings}`);
}

import { setImmediate } from 'node:timers/promises';
import type { RenderItem, RenderStages, StepProgress } from '../../contract/job.js';
import type { ModelCard } from '../../contract/model-card.js';
import { type Checkpoint, openCheckpoint } from '../checkpoint/checkpoint.js';
import type { Graph } from '../graph/builder.js';
import { FLOAT32, loadGraphs } from '../graph/graphs.js';
import { createSession, floatTensor, integerTensor, outputOf, type Session } from '../runtime/session.js';
import { packLatents, rotaryTables } from './latents.js';
import { normalNoise } from './noise.js';
import { drawPreview, type Preview } from './preview.js';
import { flowMatchSigmas, modelTimestep } from './scheduler.js';
import { loadTokenizer, type PromptTokenizer } from './tokenizer.js';

export interface PipelineOptions {
  /** The checkpoint's folder. */
  readonly checkpoint: string;
  /** The model's name. */
  readonly model: string;
  readonly device: 'cpu';
  readonly threads: number;
  readonly cacheFolder: string;
}

export interface RenderHooks {
  readonly onStep: (progress: StepProgress, preview?: Preview) => void;
  /** Whether steps come with previews, where the model has them. Default: false. */
  readonly previews?: boolean;
  /** Looked at before every step. */
  readonly signal: AbortSignal;
  /** Start from these packed latents [B, tokens, channels] instead of the seeds' noise, as diffusers' `latents`. */
  readonly latents?: Float32Array;
}

/** The pixels of one item: 8-bit RGB, rows from the top. */
export interface RenderedItem {
  readonly item: RenderItem;
  readonly pixels: Uint8Array;
  readonly stages: RenderStages;
}

/** What every stage of a render hands to the next; tests compare them with diffusers'. */
export interface Trace {
  onPromptEmbeds?(values: Float32Array): void;
  onInitialLatents?(values: Float32Array): void;
  onVelocity?(step: number, values: Float32Array): void;
  onLatents?(step: number, values: Float32Array): void;
}

/** A loaded model: text encoder, denoiser and VAE decoder, with tokenizer and scheduler. */
export interface Pipeline {
  readonly card: ModelCard;
  readonly graphDigest: string;
  /**
   * Draws one batch.
   * @param items all of one width, height and step count
   * @throws the signal's reason when it is aborted
   */
  render(items: readonly RenderItem[], hooks: RenderHooks, trace?: Trace): Promise<RenderedItem[]>;
  prepareForCapture(): Promise<void>;
  afterRestore(): Promise<void>;
  close(): Promise<void>;
}

/** @throws CheckpointInvalid */
export async function loadPipeline(options: PipelineOptions): Promise<Pipeline> {
  const checkpoint = await openCheckpoint(options.checkpoint, {
    name: options.model,
    cacheFolder: options.cacheFolder,
  });
  const graphs = await loadGraphs(checkpoint, { cacheFolder: options.cacheFolder, compute: FLOAT32 });
  const session = ({ bytes }: Graph, weightsFolder: string) =>
    createSession({ graph: bytes, weightsFolder, device: options.device, threads: options.threads });
  const sessions = {
    textEncoder: await session(graphs.textEncoder, checkpoint.textEncoder.weights.folder),
    transformer: await session(graphs.transformer, checkpoint.transformer.weights.folder),
    vaeDecoder: await session(graphs.vaeDecoder, checkpoint.vae.weights.folder),
  };
  return new Flux2Klein(checkpoint, await loadTokenizer(checkpoint), sessions, graphs.digest);
}

/** Text to image as diffusers' `Flux2KleinPipeline` computes it. */
class Flux2Klein implements Pipeline {
  constructor(
    private readonly checkpoint: Checkpoint,
    private readonly tokenizer: PromptTokenizer,
    private readonly sessions: Readonly<Record<'textEncoder' | 'transformer' | 'vaeDecoder', Session>>,
    readonly graphDigest: string,
  ) {}

  get card(): ModelCard {
    return this.checkpoint.card;
  }

  async render(items: readonly RenderItem[], hooks: RenderHooks, trace: Trace = {}): Promise<RenderedItem[]> {
    const { width, height, steps } = sharedShape(items);
    const rows = height / this.card.unit;
    const columns = width / this.card.unit;

    const began = performance.now();
    await nextTurn(hooks.signal);
    for (const { index, seed } of items) hooks.onStep({ index, seed, step: 0, of: steps });
    const promptEmbeds = await this.#encodePrompts(items.map((item) => item.prompt));
    trace.onPromptEmbeds?.(promptEmbeds);
    const encoded = performance.now();
    const noise = hooks.latents ?? this.#initialLatents(items, rows * columns);
    trace.onInitialLatents?.(noise);
    const latents = await this.#denoise(noise, promptEmbeds, { items, rows, columns, steps }, hooks, trace);
    const denoised = performance.now();
    const pixels = await this.#decode(latents, items.length, rows, columns);
    const decoded = performance.now();

    const stages: RenderStages = {
      textMs: encoded - began,
      denoiseMs: denoised - encoded,
      decodeMs: decoded - denoised,
    };
    const imageBytes = width * height * 3;
    return items.map((item, place) => ({
      item,
      stages,
      pixels: pixels.subarray(place * imageBytes, (place + 1) * imageBytes),
    }));
  }

  async prepareForCapture(): Promise<void> {
    for (const session of Object.values(this.sessions)) await session.prepareForCapture();
  }

  async afterRestore(): Promise<void> {
    for (const session of Object.values(this.sessions)) await session.afterRestore();
  }

  async close(): Promise<void> {
    for (const session of Object.values(this.sessions)) await session.close();
  }

  async #encodePrompts(prompts: readonly string[]): Promise<Float32Array> {
    const encoded = prompts.map((prompt) => this.tokenizer.encode(prompt));
    const dims = [prompts.length, this.card.maxTokens];
    const outputs = await this.sessions.textEncoder.run({
      input_ids: integerTensor(
        encoded.flatMap(({ ids }) => ids),
        dims,
      ),
      attention_mask: integerTensor(
        encoded.flatMap(({ mask }) => mask),
        dims,
      ),
    });
    return outputOf(outputs, 'prompt_embeds', 'float32').data;
  }

  /** One generator an image: an image's noise does not depend on the batch that it is in. */
  #initialLatents(items: readonly RenderItem[], tokens: number): Float32Array {
    const channels = this.checkpoint.transformer.config.in_channels;
    const latents = new Float32Array(items.length * tokens * channels);
    for (const [place, { seed }] of items.entries()) {
      latents.set(packLatents(normalNoise(seed, tokens * channels), channels), place * tokens * channels);
    }
    return latents;
  }

  /** From noise to a picture's latents. */
  async #denoise(
    noise: Float32Array,
    promptEmbeds: Float32Array,
    shape: { items: readonly RenderItem[]; rows: number; columns: number; steps: number },
    hooks: RenderHooks,
    trace: Trace,
  ): Promise<Float32Array> {
    const { scheduler, transformer } = this.checkpoint;
    const {
      in_channels: channels,
      joint_attention_dim: embedding,
      attention_head_dim: head,
    } = transformer.config;
    const { items, rows, columns, steps } = shape;
    const batch = items.length;
    const textTokens = this.card.maxTokens;
    const rotary = rotaryTables(transformer.config, textTokens, rows, columns);
    const positions = Array.from({ length: rotary.tokens }, (_, token) => token);
    const constant = {
      encoder_hidden_states: floatTensor(promptEmbeds, [batch, textTokens, embedding]),
      rope_cos: floatTensor(rotary.cos, [rotary.tokens, head / 2]),
      rope_sin: floatTensor(rotary.sin, [rotary.tokens, head / 2]),
      positions: integerTensor(
        items.flatMap(() => positions),
        [batch, rotary.tokens],
      ),
    };
    const sigmas = flowMatchSigmas(scheduler, steps, rows * columns);
    let latents = noise;
    for (let step = 0; step < steps; step++) {
      const [sigma, next] = [sigmas[step] as number, sigmas[step + 1] as number];
      const outputs = await this.sessions.transformer.run({
        ...constant,
        hidden_states: floatTensor(latents, [batch, rows * columns, channels]),
        timestep: floatTensor(new Float32Array(batch).fill(modelTimestep(scheduler, sigma)), [batch]),
        step: floatTensor(Float32Array.of(next - sigma), [1]),
      });
      const velocity = outputOf(outputs, 'velocity', 'float32').data;
      trace.onVelocity?.(step + 1, velocity);
      latents = outputOf(outputs, 'latents', 'float32').data;
      trace.onLatents?.(step + 1, latents);
      for (const [place, { index, seed }] of items.entries()) {
        const range = [place * rows * columns * channels, (place + 1) * rows * columns * channels] as const;
        const preview =
          hooks.previews && this.checkpoint.generation.preview
            ? drawPreview(this.checkpoint.generation.preview, {
                latents: latents.subarray(...range),
                velocity: velocity.subarray(...range),
                sigma: next,
                columns,
              })
            : undefined;
        hooks.onStep({ index, seed, step: step + 1, of: steps }, preview);
      }
      await nextTurn(hooks.signal);
    }
    return latents;
  }

  async #decode(latents: Float32Array, batch: number, rows: number, columns: number): Promise<Uint8Array> {
    const channels = this.checkpoint.transformer.config.in_channels;
    const outputs = await this.sessions.vaeDecoder.run({
      latents: floatTensor(latents, [batch, rows, columns, channels]),
    });
    return outputOf(outputs, 'pixels', 'uint8').data;
  }
}

/** Runs block the event loop: between them, messages are sent and read. */
async function nextTurn(signal: AbortSignal): Promise<void> {
  await setImmediate();
  signal.throwIfAborted();
}

function sharedShape(items: readonly RenderItem[]): Pick<RenderItem, 'width' | 'height' | 'steps'> {
  const [first] = items;
  if (!first) throw new RangeError('expected a batch of at least one item');
  const { width, height, steps } = first;
  if (!items.every((item) => item.width === width && item.height === height && item.steps === steps)) {
    throw new RangeError('expected all items of a batch to share width, height and steps');
  }
  return { width, height, steps };
}

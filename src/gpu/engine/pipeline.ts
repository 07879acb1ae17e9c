import { setImmediate, setTimeout } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { RenderItem, RenderStages, StepProgress } from '../../contract/job.js';
import type { ModelCard } from '../../contract/model-card.js';
import { unlessAborted } from '../../unless-aborted.js';
import { type Checkpoint, openCheckpoint } from '../checkpoint/checkpoint.js';
import { loadGraphs } from '../graph/graphs.js';
import { openRuntime } from '../runtime/open-runtime.js';
import { pipelineGraphs } from '../runtime/pipeline-graphs.js';
import {
  type Device,
  type DeviceMemory,
  floatTensor,
  type HeldTensor,
  type Inputs,
  integerTensor,
  type Release,
  type Runtime,
  readOutput,
  releaseAll,
  type Session,
} from '../runtime/session.js';
import { inSpan } from '../spans.js';
import { type BatchMemory, transformerBatchMemory } from './batch-memory.js';
import { type DecodeMemory, decodeLatents, imagesAtATime, mostPixels } from './decode.js';
import { InputsThread } from './inputs-thread.js';
import { drawPreview, type Preview } from './preview.js';
import { flowMatchSigmas, modelTimestep } from './scheduler.js';
import { type BatchShape, tokenPlaces } from './token-places.js';
import type { EncodedPrompt } from './tokenizer.js';
import { decoderInputs, defaultShape, warmUpInputs } from './warm-up.js';

export interface PipelineOptions {
  /** The checkpoint's folder. */
  readonly checkpoint: string;
  /** The model's name. */
  readonly model: string;
  readonly device: Device;
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
  /** Whether too little memory made it be decoded in tiles. */
  readonly inTiles: boolean;
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
  /** What the device is, as its maker names it. */
  readonly deviceName: string;
  /** What batches can be planned from; undefined where the device has no memory of its own. */
  readonly batchMemory: BatchMemory | undefined;
  /** Of the device, now; undefined for the CPU. @throws DeviceLost */
  deviceMemory(): DeviceMemory | undefined;
  /** Resolves when all weights are in place; renders may be asked for before. @throws what kept them from it */
  loaded(): Promise<void>;
  /** Puts the weights where this host's next engine gets them sooner. See `Runtime`. */
  keepWeights(): Promise<readonly string[]>;
  /** Never resolves. Rejects with DeviceLost or EngineCrashed once nothing can be rendered any more. */
  lost(): Promise<never>;
  /**
   * Draws one batch.
   * @param items all of one width, height and step count
   * @throws the signal's reason when it is aborted
   */
  render(items: readonly RenderItem[], hooks: RenderHooks, trace?: Trace): Promise<RenderedItem[]>;
  /** Gives the device's memory back. See `Runtime`. */
  release(): Promise<Release>;
  /** For when it was given back and nothing else is to be done. See `Runtime`. */
  prepareResume(): Promise<readonly string[]>;
  /** Takes it again; renders may be asked for at once. See `Runtime`. */
  resume(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a model on its device. Both are opened side by side: a GPU takes a while, on threads of its own.
 * @param opening the runtime for the device, where somebody has begun to open it
 * @throws CheckpointInvalid
 */
export async function loadPipeline(
  { checkpoint: folder, model: name, device, threads, cacheFolder }: PipelineOptions,
  opening: Promise<Runtime> = openRuntime({ device, threads, cacheFolder }),
): Promise<Pipeline> {
  const [opened, read] = await Promise.allSettled([
    opening,
    inSpan('checkpoint', () => openCheckpoint(folder, { name, cacheFolder })),
  ]);
  if (opened.status === 'rejected') throw opened.reason;
  const runtime = opened.value;
  try {
    if (read.status === 'rejected') throw read.reason;
    return await openPipeline(read.value, runtime, cacheFolder);
  } catch (error) {
    // A device that is gone can't be closed either, and the reason is the first one.
    await runtime.close().catch(() => {});
    throw error;
  }
}

/**
 * Opens a checkpoint's sessions on a runtime, which is closed with the pipeline.
 * @throws CheckpointInvalid
 */
export async function openPipeline(
  checkpoint: Checkpoint,
  runtime: Runtime,
  cacheFolder: string,
): Promise<Pipeline> {
  const thread = new InputsThread(checkpoint);
  const tokenizerReady = inSpan('tokenizer', () => thread.ready());
  tokenizerReady.catch(() => {});
  try {
    const { sessions, digest, memory } = await openSessions(checkpoint, runtime, cacheFolder, thread);
    await tokenizerReady;
    return new Flux2Klein(checkpoint, thread, runtime, sessions, digest, memory);
  } catch (error) {
    await thread.close();
    throw error;
  }
}

async function openSessions(
  checkpoint: Checkpoint,
  runtime: Runtime,
  cacheFolder: string,
  thread: InputsThread,
): Promise<{ sessions: Sessions; digest: string; memory: DeviceMemory | undefined }> {
  const graphs = await inSpan('graphs', () =>
    loadGraphs(checkpoint, { cacheFolder, compute: runtime.compute }),
  );
  const warmUps = warmUpInputs(checkpoint, thread);
  let memory: DeviceMemory | undefined;
  const opened = await runtime.open(pipelineGraphs(checkpoint, graphs), (session, index) => {
    // Weights have their place by now, and no run has taken any yet.
    memory ??= runtime.memory();
    // At once, and not when all are there. What is wrong with a session is told to whoever draws with it.
    session.warmUp(warmUps[index] as () => Promise<Inputs>).catch(() => {});
  });
  const [textEncoder, transformer, vaeDecoder] = opened;
  if (!textEncoder || !transformer || !vaeDecoder) throw new Error('expected a session for every graph');
  return { sessions: { textEncoder, transformer, vaeDecoder }, digest: graphs.digest, memory };
}

type Sessions = Readonly<Record<'textEncoder' | 'transformer' | 'vaeDecoder', Session>>;

/** Text to image as diffusers' `Flux2KleinPipeline` computes it. */
class Flux2Klein implements Pipeline {
  /** Of the last picture. */
  #lastPlaces: { shape: BatchShape; held: Readonly<Record<string, HeldTensor>> } | undefined;
  #batchMemory: BatchMemory | undefined;
  #decodeMemory: DecodeMemory = { roomless: Number.POSITIVE_INFINITY };
  /** Aborted when the device's memory is given back. */
  #stay = new AbortController();

  constructor(
    private readonly checkpoint: Checkpoint,
    private readonly thread: InputsThread,
    private readonly runtime: Runtime,
    private readonly sessions: Sessions,
    readonly graphDigest: string,
    memory: DeviceMemory | undefined,
  ) {
    this.#planFrom(memory);
  }

  get batchMemory(): BatchMemory | undefined {
    return this.#batchMemory;
  }

  get card(): ModelCard {
    return this.checkpoint.card;
  }

  get deviceName(): string {
    return this.runtime.deviceName;
  }

  deviceMemory(): DeviceMemory | undefined {
    return this.runtime.memory();
  }

  loaded(): Promise<void> {
    return this.runtime.loaded();
  }

  keepWeights(): Promise<readonly string[]> {
    return this.runtime.keepWeights();
  }

  lost(): Promise<never> {
    return this.runtime.lost();
  }

  async render(items: readonly RenderItem[], hooks: RenderHooks, trace: Trace = {}): Promise<RenderedItem[]> {
    const { width, height, steps } = sharedShape(items);
    const rows = height / this.card.unit;
    const columns = width / this.card.unit;

    const began = performance.now();
    await nextTurn(hooks.signal);
    for (const { index, seed } of items) hooks.onStep({ index, seed, step: 0, of: steps });
    const shape = { batch: items.length, rows, columns };
    // A runtime that has threads of its own encodes the text meanwhile.
    const prompts = await this.thread.encode(items.map((item) => item.prompt));
    const encoding = inSpan('text', () => this.#embed(prompts, hooks.signal));
    encoding.catch(() => {});
    let latents: HeldTensor | undefined;
    try {
      const { in_channels: channels } = this.checkpoint.transformer.config;
      const seeds = items.map(({ seed }) => seed);
      const [noise, places] = await Promise.all([
        hooks.latents ?? this.thread.noise({ seeds, tokens: rows * columns, channels }),
        this.#places(shape),
      ]);
      const promptEmbeds = await encoding;
      if (trace.onPromptEmbeds) trace.onPromptEmbeds(await floatsOf(promptEmbeds));
      const encoded = performance.now();
      trace.onInitialLatents?.(noise);
      const conditions = { ...places, encoder_hidden_states: promptEmbeds };
      latents = await this.#denoise(noise, conditions, { ...shape, items, steps }, hooks, trace);
      const denoised = performance.now();
      const picture = {
        ...shape,
        channels,
        unit: this.card.unit,
        // On the CPU it is the whole process that has too little memory, and its host starts another.
        inParts: this.runtime.memory() !== undefined,
        mostPixels: this.#mostPixels,
      };
      const decoding = latents;
      await weightsOf(this.sessions.vaeDecoder, hooks.signal);
      const { pixels, inTiles } = await inSpan('decode', () =>
        decodeLatents(this.sessions.vaeDecoder, decoding, picture, {
          memory: this.#decodeMemory,
          signal: hooks.signal,
        }),
      );
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
        inTiles: inTiles.has(place),
        pixels: pixels.subarray(place * imageBytes, (place + 1) * imageBytes),
      }));
    } finally {
      latents?.release();
      (await encoding.catch(() => undefined))?.release();
    }
  }

  release(): Promise<Release> {
    this.#stay.abort();
    return this.runtime.release();
  }

  prepareResume(): Promise<readonly string[]> {
    return this.runtime.prepareResume();
  }

  async resume(): Promise<void> {
    await this.runtime.resume();
    this.#decodeMemory = { roomless: Number.POSITIVE_INFINITY };
    this.#planFrom(this.runtime.memory());
    this.#stay = new AbortController();
    void this.#warmDecoder(this.#stay.signal);
  }

  async close(): Promise<void> {
    this.#stay.abort();
    this.#forgetPlaces();
    await this.thread.close();
    await this.runtime.close();
  }

  /**
   * The decoder takes most memory beside the weights, and the device is slow to give it: where weights take a while to
   * come, the decoder takes it meanwhile.
   */
  async #warmDecoder(stay: AbortSignal): Promise<void> {
    const loaded = this.runtime.loaded().catch(() => {});
    const pause = setTimeout(WEIGHTS_THERE_MS, 'a while', { ref: false, signal: stay }).catch(() => {});
    if ((await Promise.race([loaded, pause])) !== 'a while' || stay.aborted) return;
    const shape = this.#lastPlaces?.shape ?? defaultShape(this.checkpoint);
    const batch = imagesAtATime({ ...shape, unit: this.card.unit, mostPixels: this.#mostPixels });
    if (batch === 0) return;
    const inputs = decoderInputs(this.checkpoint, { ...shape, batch });
    // What is wrong with it is told to whoever draws.
    await this.sessions.vaeDecoder.warmUp(inputs).catch(() => {});
  }

  /** See `mostPixels`. */
  get #mostPixels(): number {
    return mostPixels(this.checkpoint.vae.config.decoder_channels);
  }

  /** @param memory when weights have their place, and no run has taken any yet */
  #planFrom(memory: DeviceMemory | undefined): void {
    this.#batchMemory = memory && {
      freeBytes: memory.freeBytes,
      ...transformerBatchMemory(this.checkpoint.transformer.config, {
        textTokens: this.checkpoint.card.maxTokens,
        compute: this.runtime.compute.transformer,
      }),
    };
  }

  async #embed(encoded: readonly EncodedPrompt[], signal: AbortSignal): Promise<HeldTensor> {
    await weightsOf(this.sessions.textEncoder, signal);
    const dims = [encoded.length, this.card.maxTokens];
    const inputs = {
      input_ids: integerTensor(
        encoded.flatMap(({ ids }) => ids),
        dims,
      ),
      attention_mask: integerTensor(
        encoded.flatMap(({ mask }) => mask),
        dims,
      ),
    };
    const outputs = await this.sessions.textEncoder.run(inputs, signal);
    return outputNamed(outputs, 'prompt_embeds');
  }

  /** From noise to a picture's latents, which are to be released. */
  async #denoise(
    noise: Float32Array,
    conditions: Readonly<Record<string, HeldTensor>>,
    shape: BatchShape & { items: readonly RenderItem[]; steps: number },
    hooks: RenderHooks,
    trace: Trace,
  ): Promise<HeldTensor> {
    const { scheduler, transformer } = this.checkpoint;
    const { in_channels: channels } = transformer.config;
    const { batch, rows, columns, steps } = shape;
    await weightsOf(this.sessions.transformer, hooks.signal);
    let latents = await this.runtime.hold(floatTensor(noise, [batch, rows * columns, channels]));
    try {
      const sigmas = flowMatchSigmas(scheduler, steps, rows * columns);
      for (let step = 0; step < steps; step++) {
        const [sigma, next] = [sigmas[step] as number, sigmas[step + 1] as number];
        const inputs = {
          ...conditions,
          hidden_states: latents,
          timestep: floatTensor(Float32Array.of(modelTimestep(scheduler, sigma)), [1]),
          step: floatTensor(Float32Array.of(next - sigma), [1]),
        };
        const outputs = await inSpan(`step ${step + 1}`, () =>
          this.sessions.transformer.run(inputs, hooks.signal),
        );
        latents.release();
        latents = outputNamed(outputs, 'latents');
        try {
          await this.#report(outputs, { ...shape, step, sigma: next }, hooks, trace);
        } finally {
          outputNamed(outputs, 'velocity').release();
        }
        await nextTurn(hooks.signal);
      }
    } catch (error) {
      latents.release();
      throw error;
    }
    return latents;
  }

  /** Tells of a step, and brings back from the device what somebody wants to see of it. */
  async #report(
    outputs: Readonly<Record<string, HeldTensor>>,
    shape: BatchShape & { items: readonly RenderItem[]; steps: number; step: number; sigma: number },
    hooks: RenderHooks,
    trace: Trace,
  ): Promise<void> {
    const { items, rows, columns, steps, step, sigma } = shape;
    const projection = hooks.previews ? this.checkpoint.generation.preview : undefined;
    const isSeen =
      projection !== undefined || trace.onVelocity !== undefined || trace.onLatents !== undefined;
    const seen = isSeen && {
      velocity: (await readOutput(outputs, 'velocity', 'float32')).data,
      latents: (await readOutput(outputs, 'latents', 'float32')).data,
    };
    if (seen) {
      trace.onVelocity?.(step + 1, seen.velocity);
      trace.onLatents?.(step + 1, seen.latents);
    }
    const length = rows * columns * this.checkpoint.transformer.config.in_channels;
    for (const [place, { index, seed }] of items.entries()) {
      const range = [place * length, (place + 1) * length] as const;
      const preview =
        projection && seen
          ? drawPreview(projection, {
              latents: seen.latents.subarray(...range),
              velocity: seen.velocity.subarray(...range),
              sigma,
              columns,
            })
          : undefined;
      hooks.onStep({ index, seed, step: step + 1, of: steps }, preview);
    }
  }

  /** Where tokens are, for the transformer. Kept for the next render: most are of the size of the last one. */
  async #places(shape: BatchShape): Promise<Readonly<Record<string, HeldTensor>>> {
    if (this.#lastPlaces && isDeepStrictEqual(this.#lastPlaces.shape, shape)) return this.#lastPlaces.held;
    this.#forgetPlaces();
    const held: Record<string, HeldTensor> = {};
    for (const [name, tensor] of Object.entries(await tokenPlaces(this.checkpoint, this.thread, shape))) {
      held[name] = await this.runtime.hold(tensor);
    }
    this.#lastPlaces = { shape, held };
    return held;
  }

  #forgetPlaces(): void {
    if (this.#lastPlaces) releaseAll(this.#lastPlaces.held);
    this.#lastPlaces = undefined;
  }
}

function outputNamed(outputs: Readonly<Record<string, HeldTensor>>, name: string): HeldTensor {
  const tensor = outputs[name];
  if (!tensor) throw new Error(`expected an output ${name}, got ${Object.keys(outputs).join(', ')}`);
  return tensor;
}

async function floatsOf(tensor: HeldTensor): Promise<Float32Array> {
  return (await readOutput({ tensor }, 'tensor', 'float32')).data;
}

/** Weights that somebody has kept are there sooner than that. */
const WEIGHTS_THERE_MS = 50;

/** Waits for a session's weights, but no longer than a render is wanted: a disk may take its time. */
function weightsOf(session: Session, signal: AbortSignal): Promise<void> {
  return unlessAborted(session.ready(), signal);
}

/** Runs on the CPU block the event loop: between them, messages are sent and read. */
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

import type { Checkpoint } from '../../src/gpu/checkpoint/checkpoint.js';
import { rotaryTables } from '../../src/gpu/engine/latents.js';
import type { Pipeline } from '../../src/gpu/engine/pipeline.js';
import type { Graphs } from '../../src/gpu/graph/graphs.js';
import {
  floatTensor,
  type HeldTensor,
  integerTensor,
  type Runtime,
  readOutput,
  releaseAll,
  type Session,
} from '../../src/gpu/runtime/session.js';
import { meanDifference, relativeError } from './difference.js';
import { itemsOf, QUIET, sampled } from './lab.js';
import type { Reference, ReferenceFile } from './reference.js';
import type { Distances, StepTiming } from './results.js';

type Numbers = ReferenceFile['numbers'][number];

/** A batch of transformer inputs that lie on the device. */
interface StepInputs {
  readonly batch: number;
  readonly tokens: number;
  readonly constant: Readonly<Record<string, HeldTensor>>;
}

/**
 * The transformer and the decoder by themselves, on the runtime that is given: their outputs for inputs that torch had,
 * and how long a step takes.
 */
export class Components {
  private constructor(
    private readonly checkpoint: Checkpoint,
    private readonly runtime: Runtime,
    private readonly transformer: Session,
    private readonly decoder: Session,
  ) {}

  static async open(checkpoint: Checkpoint, graphs: Graphs, runtime: Runtime): Promise<Components> {
    const [transformer, decoder] = await runtime.open([
      {
        component: 'transformer',
        ...graphs.transformer,
        weightsFolder: checkpoint.transformer.weights.folder,
      },
      { component: 'vae', ...graphs.vaeDecoder, weightsFolder: checkpoint.vae.weights.folder },
    ]);
    if (!transformer || !decoder) throw new Error('expected a session for every graph');
    return new Components(checkpoint, runtime, transformer, decoder);
  }

  /** Every step from the very inputs that torch had in bfloat16, its rounded timestep among them. */
  async steps(reference: Reference, numbers: Numbers): Promise<Distances[]> {
    const { size, prompts, timesteps } = numbers;
    const embeds = await reference.floats(`${size}/prompt_embeds`);
    const inputs = await this.#inputs(size, prompts.length, embeds);
    const distances: Distances[] = [];
    try {
      for (const [index, timestep] of timesteps.entries()) {
        const latents = await reference.floats(`${size}/latents_${index}`);
        const outputs = await this.#step(inputs, latents, timestep);
        const ours = (await readOutput(outputs, 'velocity', 'float32')).data;
        releaseAll(outputs);
        const torch = await reference.floats(`${size}/velocity_bf16_${index + 1}`);
        const exact = await floatsIfThere(reference, `${size}/velocity_f32_${index + 1}`);
        distances.push({ what: `step ${index + 1}`, size, ...distancesOf(ours, torch, exact) });
      }
    } finally {
      releaseAll(inputs.constant);
    }
    return distances;
  }

  /** The picture of one and the same latents; mean difference in levels. */
  async decoding(reference: Reference, { size, prompts, steps }: Numbers): Promise<Distances> {
    const side = size / this.checkpoint.card.unit;
    const decode = async (name: string) => {
      const latents = await reference.floats(name);
      const dims = [prompts.length, side, side, latents.length / prompts.length / side ** 2];
      const outputs = await this.decoder.run({ latents: floatTensor(latents, dims) });
      const pixels = (await readOutput(outputs, 'pixels', 'uint8')).data;
      releaseAll(outputs);
      return pixels;
    };
    const what = 'decoding, levels';
    const [ours, torch] = [
      await decode(`${size}/latents_${steps}`),
      await reference.bytes(`${size}/pixels_bf16`),
    ];
    if (!reference.has(`${size}/pixels_f32`)) return { what, size, oursToTorch: meanDifference(ours, torch) };
    return {
      what,
      size,
      oursToTorch: meanDifference(ours, torch),
      oursToFloat32: meanDifference(
        await decode(`${size}/latents_f32_${steps}`),
        await reference.bytes(`${size}/pixels_f32`),
      ),
    };
  }

  /** How long one step takes, in milliseconds, with its inputs on the device; outputs stay there. */
  async time(size: number, batch: number, runs: number): Promise<StepTiming> {
    const width = this.checkpoint.transformer.config.joint_attention_dim;
    const inputs = await this.#inputs(size, batch, noise(batch * this.checkpoint.card.maxTokens * width));
    const channels = this.checkpoint.transformer.config.in_channels;
    const latents = await this.runtime.hold(
      floatTensor(noise(batch * inputs.tokens * channels), [batch, inputs.tokens, channels]),
    );
    try {
      const { samples } = await sampled(runs, async () =>
        releaseAll(await this.#step(inputs, latents, 0.75)),
      );
      return { size, batch, samples };
    } finally {
      latents.release();
      releaseAll(inputs.constant);
    }
  }

  async #inputs(size: number, batch: number, embeds: Float32Array): Promise<StepInputs> {
    const { config } = this.checkpoint.transformer;
    const { maxTokens, unit } = this.checkpoint.card;
    const side = size / unit;
    const rotary = rotaryTables(config, maxTokens, side, side);
    const half = config.attention_head_dim / 2;
    const places = Array.from({ length: rotary.tokens }, (_, token) => token);
    const hold = this.runtime.hold.bind(this.runtime);
    return {
      batch,
      tokens: side * side,
      constant: {
        encoder_hidden_states: await hold(
          floatTensor(embeds, [batch, maxTokens, config.joint_attention_dim]),
        ),
        rope_cos: await hold(floatTensor(rotary.cos, [rotary.tokens, half])),
        rope_sin: await hold(floatTensor(rotary.sin, [rotary.tokens, half])),
        positions: await hold(integerTensor(new Array(batch).fill(places).flat(), [batch, rotary.tokens])),
      },
    };
  }

  #step({ batch, tokens, constant }: StepInputs, latents: Float32Array | HeldTensor, timestep: number) {
    const channels = this.checkpoint.transformer.config.in_channels;
    return this.transformer.run({
      ...constant,
      hidden_states:
        latents instanceof Float32Array ? floatTensor(latents, [batch, tokens, channels]) : latents,
      timestep: floatTensor(Float32Array.of(timestep), [1]),
      step: floatTensor(Float32Array.of(-0.1), [1]),
    });
  }
}

/** The whole pipeline from torch's noise: its text encoder, its own way through the steps, its picture. */
export async function comparePipelines(pipeline: Pipeline, reference: Reference): Promise<Distances[]> {
  const distances: Distances[] = [];
  for (const { size, prompts, steps } of reference.file.numbers) {
    const latents = await reference.floats(`${size}/latents_0`);
    const seen = { embeds: new Float32Array(), latents: [] as Float32Array[] };
    await pipeline.render(
      itemsOf(size, prompts.length, prompts),
      { ...QUIET, latents },
      {
        onPromptEmbeds: (values) => {
          seen.embeds = values.slice();
        },
        onLatents: (_step, values) => seen.latents.push(values.slice()),
      },
    );
    const compare = async (what: string, ours: Float32Array, torch: string, exact: string) => {
      const other = await floatsIfThere(reference, exact);
      distances.push({ what, size, ...distancesOf(ours, await reference.floats(torch), other) });
    };
    await compare('text', seen.embeds, `${size}/prompt_embeds`, `${size}/prompt_embeds_f32`);
    for (const step of [1, steps]) {
      const ours = seen.latents[step - 1] ?? new Float32Array();
      await compare(
        `own way, latents ${step}`,
        ours,
        `${size}/latents_${step}`,
        `${size}/latents_f32_${step}`,
      );
    }
  }
  return distances;
}

function distancesOf(ours: Float32Array, torch: Float32Array, exact: Float32Array | undefined) {
  const oursToTorch = relativeError(ours, torch);
  if (!exact) return { oursToTorch };
  return {
    oursToTorch,
    oursToFloat32: relativeError(ours, exact),
    torchToFloat32: relativeError(torch, exact),
  };
}

function floatsIfThere(reference: Reference, name: string): Promise<Float32Array | undefined> {
  return reference.has(name) ? reference.floats(name) : Promise.resolve(undefined);
}

/** Any numbers will do, but zeros are faster than real ones. */
function noise(length: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length }, () => {
    // Numerical Recipes' linear congruential generator.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state / 2 ** 31 - 1) * 1.7;
  });
}

import type { TransformerConfig } from '../checkpoint/configs.js';
import type { Weights } from '../checkpoint/weights.js';
import { type ComputeType, type Graph, GraphBuilder, MICROSOFT, type Value } from './builder.js';
import {
  add,
  attention,
  concat,
  linear,
  linearParts,
  modulatedLayerNorm,
  modulatedSumNorm,
  multiply,
  reshape,
  rmsNorm,
  silu,
  split,
} from './layers.js';
import { canUseOwnOperators, gatedProduct, gatedSumNorm, rotateHeads } from './own-operators.js';

/**
 * The denoiser: diffusers' `Flux2Transformer2DModel`, text to image, without a guidance embedding.
 *
 * Inputs (B images, S latent tokens, L text tokens, T = L + S):
 * - `hidden_states` float32 [B, S, in_channels]: packed latents
 * - `encoder_hidden_states` float32 [B, L, joint_attention_dim]
 * - `timestep` float32 [1]: sigma, 0 to 1, that of all images
 * - `rope_cos`, `rope_sin` float32 [T, attention_head_dim / 2]: text tokens first
 * - `positions` int64 [B, T]: 0 to T − 1 in every row (ONNX Runtime's kernel reads a row an image, ours none)
 * - `step` float32 [1]: how far to go, the next sigma − this one
 *
 * Outputs, float32 [B, S, in_channels] each:
 * - `velocity`
 * - `latents`: `hidden_states` + `step` × `velocity`, the next step's `hidden_states`. The sum is float32 whatever the
 *   graph computes in, so that small steps are not lost.
 * @param options.ownOperators whether it may be made of operators of our own, where the sizes allow it. Default: false
 * @throws CheckpointInvalid where a weight is missing or does not fit
 */
export function buildFlux2Transformer(
  config: TransformerConfig,
  weights: Weights,
  compute: ComputeType,
  { ownOperators = false } = {},
): Graph {
  const graph = new GraphBuilder('Flux2Transformer2DModel', weights, compute);
  return new Flux2Transformer(config, graph, ownOperators).build();
}

/** What the noise level does to one residual branch, [dim] of the sums' type each; `factor` is 1 + scale. */
interface Modulation {
  readonly shift: Value;
  readonly factor: Value;
  readonly gate: Value;
}

/**
 * Tokens and what a residual branch has changed, of the sums' type: their sum, which is not computed yet. The next
 * normalisation does it in its own pass.
 */
interface Tokens {
  readonly before: Value;
  readonly change?: Value;
  /** What the change is yet to be multiplied with: that, too, is done with the next normalisation. */
  readonly gate?: Value;
}

/** What makes heads side by side in the last axis, and the name of the norm over each: weights are in order of use. */
interface Heads {
  readonly tokens: () => Value;
  readonly norm: string;
}

/** The two streams of a double block. */
interface Streams<T = Tokens> {
  readonly text: T;
  readonly image: T;
}

class Flux2Transformer {
  readonly #dim: number;
  readonly #feedForwardDim: number;
  readonly #ownOperators: boolean;
  /** Whether it may run while weights are on their way. */
  readonly #hasStages: boolean;
  readonly #rotation: { readonly positions: Value; readonly cos: Value; readonly sin: Value };

  constructor(
    private readonly config: TransformerConfig,
    private readonly graph: GraphBuilder,
    ownOperators: boolean,
  ) {
    this.#dim = config.num_attention_heads * config.attention_head_dim;
    this.#feedForwardDim = Math.trunc(this.#dim * config.mlp_ratio);
    this.#ownOperators =
      ownOperators && canUseOwnOperators(config.attention_head_dim, this.#dim, this.#feedForwardDim);
    this.#hasStages = ownOperators && graph.sums === graph.compute;
    const half = config.attention_head_dim / 2;
    const table = (name: string) => {
      const values = graph.input(name, 'float32', ['tokens', half]);
      return this.#ownOperators ? values : this.#narrow(values);
    };
    this.#rotation = {
      positions: graph.input('positions', 'int64', ['batch', 'tokens']),
      cos: table('rope_cos'),
      sin: table('rope_sin'),
    };
  }

  build(): Graph {
    const { graph, config } = this;
    const dim = this.#dim;
    const latents = graph.input('hidden_states', 'float32', ['batch', 'image_tokens', config.in_channels]);
    const prompt = graph.input('encoder_hidden_states', 'float32', [
      'batch',
      'text_tokens',
      config.joint_attention_dim,
    ]);
    const timestep = graph.input('timestep', 'float32', [1]);
    const step = graph.input('step', 'float32', [1]);

    // One embedding of the noise level modulates every block of a kind, and the end: computed once, here.
    const noise = this.#wideSilu(this.#timestepEmbedding(timestep));
    const imageModulations = this.#doubleModulation(noise, 'double_stream_modulation_img');
    const textModulations = this.#doubleModulation(noise, 'double_stream_modulation_txt');
    const singleModulation = this.#singleModulation(noise, 'single_stream_modulation');
    const [scale, shift] = linearParts(graph, noise, 'norm_out.linear', dim, [dim, dim]);

    let streams: Streams = {
      text: {
        before: this.#summable(
          linear(graph, this.#narrow(prompt), 'context_embedder', config.joint_attention_dim, dim),
        ),
      },
      image: {
        before: this.#summable(linear(graph, this.#narrow(latents), 'x_embedder', config.in_channels, dim)),
      },
    };
    const textTokens = graph.op('Shape', [prompt], { attributes: { start: 1, end: 2 } });
    for (let index = 0; index < config.num_layers; index++) {
      const block = `transformer_blocks.${index}`;
      this.#beginStage();
      streams = { text: this.#staged(streams.text), image: this.#staged(streams.image) };
      streams = this.#doubleBlock(block, streams, textTokens, textModulations, imageModulations);
    }

    let tokens: Tokens = {
      before: concat(graph, [this.#summed(streams.text), this.#summed(streams.image)], 1),
    };
    for (let index = 0; index < config.num_single_layers; index++) {
      this.#beginStage();
      const block = `single_transformer_blocks.${index}`;
      tokens = this.#singleBlock(block, this.#staged(tokens), singleModulation);
    }

    this.#beginStage();
    tokens = this.#staged(tokens);
    const image = this.#separate(this.#summed(tokens), textTokens).image;
    const { normed } = this.#normed(
      { before: image },
      {
        factor: this.#summable(this.#flat(this.#onePlus(scale))),
        shift: this.#summable(this.#flat(shift)),
      },
    );
    const velocity = graph.cast(
      linear(graph, normed, 'proj_out', dim, config.in_channels),
      graph.compute,
      'float32',
    );
    const shape = ['batch', 'image_tokens', config.in_channels];
    graph.output('velocity', 'float32', shape, velocity);
    graph.output('latents', 'float32', shape, add(graph, latents, multiply(graph, step, velocity)));
    return graph.finish();
  }

  /** From float32 to the compute type. */
  #narrow(x: Value): Value {
    return this.graph.cast(x, 'float32', this.graph.compute);
  }

  /** From the compute type to that of sums over layers. */
  #summable(x: Value): Value {
    return this.graph.cast(x, this.graph.compute, this.graph.sums);
  }

  /**
   * Sinusoids of 1000 × sigma (cosines first), then two layers; diffusers' `Timesteps` and `TimestepEmbedding`.
   * Angles are float32 always: of 967.38, bfloat16 would leave 968.
   */
  #timestepEmbedding(timestep: Value): Value {
    const { graph, config } = this;
    const channels = config.timestep_guidance_channels;
    const half = channels / 2;
    const frequencies = Array.from({ length: half }, (_, index) =>
      Math.exp((-Math.log(10_000) * index) / half),
    );
    const angles = multiply(
      graph,
      multiply(graph, reshape(graph, timestep, [-1, 1]), graph.floats([1000], [1], 'float32')),
      graph.floats(frequencies, [1, half], 'float32'),
    );
    const sinusoids = this.#narrow(concat(graph, [graph.op('Cos', [angles]), graph.op('Sin', [angles])], -1));
    const embedder = 'time_guidance_embed.timestep_embedder';
    const hidden = this.#wideSilu(linear(graph, sinusoids, `${embedder}.linear_1`, channels, this.#dim));
    return linear(graph, hidden, `${embedder}.linear_2`, this.#dim, this.#dim);
  }

  /** Computed in float32, as torch does: what is off here is off in every token of every block. */
  #wideSilu(x: Value): Value {
    const { graph } = this;
    return this.#narrow(silu(graph, graph.cast(x, graph.compute, 'float32')));
  }

  #doubleModulation(noise: Value, name: string): { attention: Modulation; feedForward: Modulation } {
    const [shift1, scale1, gate1, shift2, scale2, gate2] = this.#modulationParts(noise, name, 6);
    return {
      attention: this.#modulation(shift1, scale1, gate1),
      feedForward: this.#modulation(shift2, scale2, gate2),
    };
  }

  #singleModulation(noise: Value, name: string): Modulation {
    const [shift, scale, gate] = this.#modulationParts(noise, name, 3);
    return this.#modulation(shift, scale, gate);
  }

  #modulationParts(noise: Value, name: string, parts: number): Value[] {
    const all = linear(this.graph, noise, `${name}.linear`, this.#dim, parts * this.#dim);
    return split(this.graph, this.#flat(all), new Array(parts).fill(this.#dim), -1);
  }

  #modulation(shift: Value | undefined, scale: Value | undefined, gate: Value | undefined): Modulation {
    if (!shift || !scale || !gate) throw new Error('a modulation has three parts');
    return {
      shift: this.#summable(shift),
      factor: this.#summable(this.#onePlus(scale)),
      gate: this.#summable(gate),
    };
  }

  #doubleBlock(
    block: string,
    streams: Streams,
    textTokens: Value,
    textModulations: { attention: Modulation; feedForward: Modulation },
    imageModulations: { attention: Modulation; feedForward: Modulation },
  ): Streams {
    const { graph } = this;
    const dim = this.#dim;
    const attn = `${block}.attn`;
    const { normed: text, sum: textSum } = this.#normed(streams.text, textModulations.attention);
    const { normed: image, sum: imageSum } = this.#normed(streams.image, imageModulations.attention);
    const project = (tokens: Value, layer: string) => linear(graph, tokens, `${attn}.${layer}`, dim, dim);
    const heads = (part: 'q' | 'k') =>
      this.#heads([
        { tokens: () => project(text, `add_${part}_proj`), norm: `${attn}.norm_added_${part}` },
        { tokens: () => project(image, `to_${part}`), norm: `${attn}.norm_${part}` },
      ]);
    const attended = this.#separate(
      this.#attend(
        heads('q'),
        heads('k'),
        concat(graph, [project(text, 'add_v_proj'), project(image, 'to_v')], 1),
      ),
      textTokens,
    );
    return {
      text: this.#feedForward(
        `${block}.ff_context`,
        this.#residual(textSum, textModulations.attention, project(attended.text, 'to_add_out')),
        textModulations.feedForward,
      ),
      image: this.#feedForward(
        `${block}.ff`,
        this.#residual(imageSum, imageModulations.attention, project(attended.image, 'to_out.0')),
        imageModulations.feedForward,
      ),
    };
  }

  #feedForward(name: string, tokens: Tokens, modulation: Modulation): Tokens {
    const { graph } = this;
    const dim = this.#dim;
    const inner = this.#feedForwardDim;
    const { normed, sum } = this.#normed(tokens, modulation);
    const [gate, value] = linearParts(graph, normed, `${name}.linear_in`, dim, [inner, inner]);
    const out = linear(graph, this.#gated(gate as Value, value as Value), `${name}.linear_out`, inner, dim);
    return this.#residual(sum, modulation, out);
  }

  /** Attention and feed-forward side by side, with one projection in and one out. */
  #singleBlock(block: string, tokens: Tokens, modulation: Modulation): Tokens {
    const { graph } = this;
    const dim = this.#dim;
    const inner = this.#feedForwardDim;
    const attn = `${block}.attn`;
    const { normed, sum } = this.#normed(tokens, modulation);
    const sizes = [dim, dim, dim, inner, inner];
    const [query, key, value, gate, hidden] = linearParts(
      graph,
      normed,
      `${attn}.to_qkv_mlp_proj`,
      dim,
      sizes,
    );
    const attended = this.#attend(
      this.#heads([{ tokens: () => query as Value, norm: `${attn}.norm_q` }]),
      this.#heads([{ tokens: () => key as Value, norm: `${attn}.norm_k` }]),
      value as Value,
    );
    const joined = this.#gated(gate as Value, hidden as Value, attended);
    return this.#residual(sum, modulation, linear(graph, joined, `${attn}.to_out`, dim + inner, dim));
  }

  /** @param query `#heads`, and so is `key` */
  #attend(query: Value, key: Value, value: Value): Value {
    const inputs = { query: this.#turned(query), key: this.#turned(key), value };
    return attention(this.graph, inputs, this.config.num_attention_heads);
  }

  /** Every head normalised by itself, parts joined along the tokens; where an operator of ours does it, turned too. */
  #heads(parts: readonly [Heads, Heads?]): Value {
    const { graph, config } = this;
    if (this.#ownOperators) {
      const scaled = ({ tokens, norm }: Heads) => ({
        heads: tokens(),
        scale: graph.weight(`${norm}.weight`, [config.attention_head_dim]),
      });
      const [first, second] = parts;
      return rotateHeads(graph, second ? [scaled(first), scaled(second)] : [scaled(first)], this.#rotation, {
        heads: config.num_attention_heads,
        epsilon: config.eps,
      });
    }
    const normed = parts.flatMap((part) => (part ? [this.#headNorm(part.tokens(), part.norm)] : []));
    return normed.length === 1 ? (normed[0] as Value) : concat(graph, normed, 1);
  }

  /** Heads turned by the places of their tokens. */
  #turned(heads: Value): Value {
    if (this.#ownOperators) return heads;
    const { positions, cos, sin } = this.#rotation;
    return this.graph.op('RotaryEmbedding', [heads, positions, cos, sin], {
      domain: MICROSOFT,
      // diffusers' `repeat_interleave_real`: a pair of neighbours is one rotated plane.
      attributes: { interleaved: 1, num_heads: this.config.num_attention_heads },
    });
  }

  /** Root-mean-square normalisation of every head by itself. */
  #headNorm(tokens: Value, name: string): Value {
    const { graph, config } = this;
    const size = config.attention_head_dim;
    const heads = reshape(graph, tokens, [0, 0, config.num_attention_heads, size]);
    const normed = rmsNorm(graph, heads, name, size, config.eps, graph.compute);
    return reshape(graph, normed, [0, 0, this.#dim]);
  }

  /** Tokens' sum, and that normalised and modulated, in the compute type. */
  #normed(
    tokens: Tokens,
    modulation: Omit<Modulation, 'gate'>,
  ): { readonly sum: Value; readonly normed: Value } {
    const { graph } = this;
    const { eps } = this.config;
    const { before, change, gate } = tokens;
    // Sums are of the compute type where there is a gate.
    if (change && gate) return gatedSumNorm(graph, { before, change, gate }, modulation, eps);
    const { sum, normed } = change
      ? modulatedSumNorm(graph, [before, change], modulation, eps)
      : { sum: before, normed: modulatedLayerNorm(graph, before, modulation, eps) };
    return { sum, normed: graph.cast(normed, graph.sums, graph.compute) };
  }

  /** What follows, if it comes from `#staged` tokens, may be computed before later weights are there. */
  #beginStage(): void {
    if (this.#hasStages) this.graph.beginStage();
  }

  #staged(tokens: Tokens): Tokens {
    if (!this.#hasStages) return tokens;
    const { before, change } = tokens;
    return change ? { ...tokens, change: this.graph.staged(change) } : { before: this.graph.staged(before) };
  }

  #summed({ before, change, gate }: Tokens): Value {
    if (!change) return before;
    return add(this.graph, before, gate ? multiply(this.graph, gate, change) : change);
  }

  #residual(before: Value, { gate }: Modulation, change: Value): Tokens {
    const { graph } = this;
    if (this.#ownOperators && graph.sums === graph.compute) return { before, change, gate };
    return { before, change: multiply(graph, gate, this.#summable(change)) };
  }

  /** SwiGLU, silu(gate) · value, with something before it in the last axis. */
  #gated(gate: Value, value: Value, before?: Value): Value {
    const { graph } = this;
    if (this.#ownOperators) return gatedProduct(graph, gate, value, before);
    const product = multiply(graph, silu(graph, gate), value);
    return before ? concat(graph, [before, product], -1) : product;
  }

  #separate(tokens: Value, textTokens: Value): Streams<Value> {
    const { graph } = this;
    const axis = graph.integers([1]);
    return {
      text: graph.op('Slice', [tokens, graph.integers([0]), textTokens, axis]),
      image: graph.op('Slice', [tokens, textTokens, graph.integers([2 ** 31]), axis]),
    };
  }

  #onePlus(value: Value | undefined): Value {
    return add(this.graph, value as Value, this.graph.floats([1]));
  }

  /** [1, C] → [C] */
  #flat(value: Value | undefined): Value {
    return reshape(this.graph, value as Value, [-1]);
  }
}

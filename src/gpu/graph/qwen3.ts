import type { Qwen3Config } from '../checkpoint/configs.js';
import type { Weights } from '../checkpoint/weights.js';
import { type ComputeType, type Graph, GraphBuilder, MICROSOFT, type Value } from './builder.js';
import { add, concat, linear, multiply, reshape, rmsNorm, silu, transpose } from './layers.js';

/** Added to the score of a key that must not be seen: finite, so that no row can become NaN. */
const UNSEEN = -1e30;

/**
 * The text encoder of the full-size models: transformers' `Qwen3Model`, of which some hidden states become the
 * prompt's embedding, side by side, as diffusers' `Flux2KleinPipeline` stacks them. Layers above the last one used are
 * not built.
 *
 * A row of padding sees the prompt's tokens before it, as in transformers: the denoiser has no mask and reads those
 * rows too. Scores are float32 whatever the graph computes in, for bfloat16 would leave two digits of them.
 *
 * Inputs: `input_ids`, `attention_mask` int64 [B, L].
 * Output: `prompt_embeds` float32 [B, L, hidden_size × outputLayers.length].
 * @param outputLayers which hidden states: `k` is what layer `k` reads; after the last layer comes the final norm
 * @param options.ownOperators whether it may be made of operators of our own. Default: false
 * @throws CheckpointInvalid where a weight is missing or does not fit
 */
export function buildQwen3(
  config: Qwen3Config,
  weights: Weights,
  outputLayers: readonly number[],
  compute: ComputeType,
  { ownOperators = false } = {},
): Graph {
  const graph = new GraphBuilder('Qwen3Model', weights, compute);
  // It may run while weights are on their way.
  const hasStages = ownOperators && graph.sums === graph.compute;
  return new Qwen3(config, graph, prefixOf(weights), hasStages).build(outputLayers);
}

/** A `Qwen3ForCausalLM` has the model under a name of its own, a `Qwen3Model` has not. */
function prefixOf(weights: Weights): string {
  return weights.tensors.has('embed_tokens.weight') ? '' : 'model.';
}

class Qwen3 {
  constructor(
    private readonly config: Qwen3Config,
    private readonly graph: GraphBuilder,
    private readonly prefix: string,
    private readonly hasStages: boolean,
  ) {}

  build(outputLayers: readonly number[]): Graph {
    const { graph, config } = this;
    const size = config.hidden_size;
    const ids = graph.input('input_ids', 'int64', ['batch', 'text_tokens']);
    const mask = graph.input('attention_mask', 'int64', ['batch', 'text_tokens']);

    const states = [
      graph.rows(`${this.prefix}embed_tokens.weight`, [config.vocab_size, size], ids, graph.sums),
    ];
    const places = this.#places(ids);
    const attention = new Attention(config, graph, {
      positions: graph.op('Expand', [places, graph.op('Shape', [ids])]),
      ...this.#rotary(places),
      bias: this.#bias(places, mask),
    });
    const deepest = Math.max(...outputLayers);
    for (let index = 0; index < deepest; index++) {
      const state = this.#nextStage(states[index] as Value);
      states.push(this.#layer(`${this.prefix}layers.${index}`, state, attention));
    }
    if (deepest === config.num_hidden_layers) {
      const last = this.#nextStage(states[deepest] as Value);
      states[deepest] = rmsNorm(graph, last, `${this.prefix}norm`, size, config.rms_norm_eps, graph.sums);
    }
    const chosen = outputLayers.map((index) => states[index] as Value);
    const embeds = graph.cast(concat(graph, chosen, -1), graph.sums, 'float32');
    graph.output('prompt_embeds', 'float32', ['batch', 'text_tokens', size * outputLayers.length], embeds);
    return graph.finish();
  }

  #nextStage(state: Value): Value {
    if (!this.hasStages) return state;
    this.graph.beginStage();
    return this.graph.staged(state);
  }

  /** 0 to L − 1, int64 [L]. */
  #places(ids: Value): Value {
    const { graph } = this;
    const length = graph.op('Squeeze', [graph.op('Shape', [ids], { attributes: { start: 1, end: 2 } })]);
    return graph.op('Range', [graph.integers([0], []), length, graph.integers([1], [])]);
  }

  /** Tables of the rotation, float32 [L, head_dim / 2]; in transformers' order of rounding. */
  #rotary(places: Value): { cos: Value; sin: Value } {
    const { graph, config } = this;
    const half = config.head_dim / 2;
    const frequencies = Array.from({ length: half }, (_, index) =>
      Math.fround(1 / Math.fround(config.rope_theta ** Math.fround((2 * index) / config.head_dim))),
    );
    const angles = multiply(
      graph,
      reshape(graph, graph.cast(places, 'int64', 'float32'), [-1, 1]),
      graph.floats(frequencies, [1, half], 'float32'),
    );
    return { cos: graph.op('Cos', [angles]), sin: graph.op('Sin', [angles]) };
  }

  /** What is added to scores, float32 [B, 1, L, L]: keys after the query's token and padding are not seen. */
  #bias(places: Value, mask: Value): Value {
    const { graph } = this;
    const causal = graph.op('LessOrEqual', [places, reshape(graph, places, [-1, 1])]);
    const real = graph.op('Unsqueeze', [graph.cast(mask, 'int64', 'bool'), graph.integers([1, 2])]);
    const number = (value: number) => graph.floats([value], [], 'float32');
    return graph.op('Where', [graph.op('And', [causal, real]), number(0), number(UNSEEN)]);
  }

  #layer(name: string, x: Value, attention: Attention): Value {
    const { graph, config } = this;
    const { hidden_size: size, intermediate_size: inner, rms_norm_eps: eps } = config;
    const norm = (values: Value, part: string) =>
      graph.cast(rmsNorm(graph, values, `${name}.${part}`, size, eps, graph.sums), graph.sums, graph.compute);
    const sum = (to: Value, change: Value) => add(graph, to, graph.cast(change, graph.compute, graph.sums));

    const attended = sum(x, attention.attend(norm(x, 'input_layernorm'), `${name}.self_attn`));
    const normed = norm(attended, 'post_attention_layernorm');
    const gate = silu(graph, linear(graph, normed, `${name}.mlp.gate_proj`, size, inner));
    const gated = multiply(graph, gate, linear(graph, normed, `${name}.mlp.up_proj`, size, inner));
    return sum(attended, linear(graph, gated, `${name}.mlp.down_proj`, inner, size));
  }
}

/** What every layer's attention shares. */
interface Shared {
  /** int64 [B, L] */
  readonly positions: Value;
  readonly cos: Value;
  readonly sin: Value;
  readonly bias: Value;
}

/**
 * Attention in which several query heads share a head of keys and values. Queries that share one lie below each other
 * in one matrix, so that keys and values are never copied.
 */
class Attention {
  constructor(
    private readonly config: Qwen3Config,
    private readonly graph: GraphBuilder,
    private readonly shared: Shared,
  ) {}

  attend(x: Value, name: string): Value {
    const { graph, config } = this;
    const { hidden_size: width, head_dim: size, num_attention_heads: heads } = config;
    const groups = config.num_key_value_heads;
    const project = (part: string, count: number) =>
      linear(graph, x, `${name}.${part}_proj`, width, count * size);

    const query = reshape(
      graph,
      transpose(
        graph,
        reshape(graph, this.#rotated(project('q', heads), `${name}.q_norm`, heads), [
          0,
          0,
          groups,
          heads / groups,
          size,
        ]),
        [0, 2, 3, 1, 4],
      ),
      [0, groups, -1, size],
    );
    const apart = (values: Value) =>
      transpose(graph, reshape(graph, values, [0, 0, groups, size]), [0, 2, 1, 3]);
    const key = apart(this.#rotated(project('k', groups), `${name}.k_norm`, groups));
    const value = apart(project('v', groups));

    const scores = graph.op('FusedMatMul', [query, key], {
      domain: MICROSOFT,
      attributes: { transB: 1, alpha: { float: size ** -0.5 } },
    });
    const weights = graph.op(
      'Softmax',
      [add(graph, reshape(graph, scores, [0, heads, -1, 0]), this.shared.bias)],
      {
        attributes: { axis: -1 },
      },
    );
    const grouped = reshape(graph, graph.cast(weights, 'float32', graph.compute), [0, groups, -1, 0]);
    const attended = reshape(graph, graph.op('MatMul', [grouped, value]), [0, heads, -1, size]);
    const joined = reshape(graph, transpose(graph, attended, [0, 2, 1, 3]), [0, 0, heads * size]);
    return linear(graph, joined, `${name}.o_proj`, heads * size, width);
  }

  /** Every head normalised by itself, then turned by its token's place; float32 [B, L, heads × head_dim]. */
  #rotated(x: Value, norm: string, heads: number): Value {
    const { graph, config, shared } = this;
    const size = config.head_dim;
    const apart = reshape(graph, x, [0, 0, heads, size]);
    const normed = rmsNorm(graph, apart, norm, size, config.rms_norm_eps, graph.compute);
    const together = graph.cast(reshape(graph, normed, [0, 0, heads * size]), graph.compute, 'float32');
    return graph.op('RotaryEmbedding', [together, shared.positions, shared.cos, shared.sin], {
      domain: MICROSOFT,
      // transformers' `rotate_half`: a head's first half and its second are the two sides of the rotated planes.
      attributes: { interleaved: 0, num_heads: heads },
    });
  }
}

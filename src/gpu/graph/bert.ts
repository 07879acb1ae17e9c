import type { BertConfig } from '../checkpoint/configs.js';
import type { Weights } from '../checkpoint/weights.js';
import { type ComputeType, type Graph, GraphBuilder, MICROSOFT, type Value } from './builder.js';
import { ElementType } from './element-type.js';
import { add, attention, biasedLinear, concat, layerNorm } from './layers.js';

/**
 * The text encoder: transformers' `BertModel`, of which some hidden states become the prompt's embedding, side
 * by side, as diffusers' `Flux2KleinPipeline` stacks them. Layers above the last one used are not built.
 *
 * Inputs: `input_ids`, `attention_mask` int64 [B, L].
 * Output: `prompt_embeds` float32 [B, L, hidden_size × outputLayers.length].
 * @param outputLayers which hidden states; 0 is the embedding layer's
 * @throws CheckpointInvalid where a weight is missing or does not fit
 */
export function buildBert(
  config: BertConfig,
  weights: Weights,
  outputLayers: readonly number[],
  compute: ComputeType,
): Graph {
  const graph = new GraphBuilder('BertModel', weights, compute);
  const ids = graph.input('input_ids', 'int64', ['batch', 'text_tokens']);
  const mask = graph.input('attention_mask', 'int64', ['batch', 'text_tokens']);
  const keyMask = graph.op('Cast', [mask], { attributes: { to: ElementType.int32 } });

  const states = [embed(graph, config, ids)];
  for (let index = 0; index < Math.max(...outputLayers); index++) {
    states.push(layer(graph, config, `encoder.layer.${index}`, states[index] as Value, keyMask));
  }
  const chosen = outputLayers.map((index) => states[index] as Value);
  const width = config.hidden_size * outputLayers.length;
  const embeds = graph.cast(concat(graph, chosen, -1), compute, 'float32');
  graph.output('prompt_embeds', 'float32', ['batch', 'text_tokens', width], embeds);
  return graph.finish();
}

function embed(graph: GraphBuilder, config: BertConfig, ids: Value): Value {
  const size = config.hidden_size;
  const words = graph.rows('embeddings.word_embeddings.weight', [config.vocab_size, size], ids);
  const length = graph.op('Squeeze', [graph.op('Shape', [ids], { attributes: { start: 1, end: 2 } })]);
  const position = graph.op('Range', [graph.integers([0], []), length, graph.integers([1], [])]);
  const places = graph.rows(
    'embeddings.position_embeddings.weight',
    [config.max_position_embeddings, size],
    position,
  );
  // Every token is of the first type: a prompt is one sentence.
  const type = graph.rows(
    'embeddings.token_type_embeddings.weight',
    [config.type_vocab_size, size],
    graph.integers([0]),
  );
  const sum = add(graph, add(graph, words, type), places);
  return layerNorm(graph, sum, 'embeddings.LayerNorm', size, config.layer_norm_eps);
}

function layer(graph: GraphBuilder, config: BertConfig, name: string, x: Value, keyMask: Value): Value {
  const { hidden_size: size, intermediate_size: inner, layer_norm_eps: eps } = config;
  const project = (part: string) => biasedLinear(graph, x, `${name}.attention.self.${part}`, size, size);
  const attended = attention(
    graph,
    { query: project('query'), key: project('key'), value: project('value'), keyMask },
    config.num_attention_heads,
  );
  const attentionOut = biasedLinear(graph, attended, `${name}.attention.output.dense`, size, size);
  const seen = layerNorm(graph, add(graph, x, attentionOut), `${name}.attention.output.LayerNorm`, size, eps);
  // CUDA has no Gelu of bfloat16.
  const raised = graph.cast(
    biasedLinear(graph, seen, `${name}.intermediate.dense`, size, inner),
    graph.compute,
    'float32',
  );
  const hidden = graph.cast(graph.op('Gelu', [raised], { domain: MICROSOFT }), 'float32', graph.compute);
  const out = biasedLinear(graph, hidden, `${name}.output.dense`, inner, size);
  return layerNorm(graph, add(graph, seen, out), `${name}.output.LayerNorm`, size, eps);
}

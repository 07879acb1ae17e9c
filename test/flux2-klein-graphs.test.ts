import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Qwen3Config, TransformerConfig, VaeConfig } from '../src/gpu/checkpoint/configs.js';
import type { Weights } from '../src/gpu/checkpoint/weights.js';
import type { Graph } from '../src/gpu/graph/builder.js';
import { buildFlux2Transformer } from '../src/gpu/graph/flux2-transformer.js';
import { decodeModel } from '../src/gpu/graph/onnx.js';
import { buildQwen3 } from '../src/gpu/graph/qwen3.js';
import { buildVaeDecoder } from '../src/gpu/graph/vae-decoder.js';
import { readJson } from './support/references.js';

interface Described {
  config: object;
  tensors: Record<string, number[]>;
}

/** Headers as a bf16 file would have them, one tensor after the other. */
function weightsOf(tensors: Record<string, number[]>): Weights {
  let offset = 0;
  const entries = Object.entries(tensors).map(([name, shape]) => {
    const length = shape.reduce((product, side) => product * side, 2);
    const tensor = { file: '/m/w.safetensors', dtype: 'BF16' as const, shape, offset, length };
    offset += length;
    return [name, tensor] as const;
  });
  return { folder: '/m', tensors: new Map(entries) };
}

/** The tensors that the graph reads, each of them whole, in one piece or in rows. */
function namesOf(graph: Graph, weights: Weights): string[] {
  const bytes = new Map<string, number>();
  for (const { name, length } of graph.weights) {
    const tensor = name.replace(/\[.*/, '');
    bytes.set(tensor, (bytes.get(tensor) ?? 0) + length);
  }
  for (const [name, length] of bytes) assert.equal(length, weights.tensors.get(name)?.length, name);
  return [...bytes.keys()].sort();
}

/** The weights that the graph's nodes read, in the order in which they come to them. */
function namesInOrderOfUse({ bytes, weights }: Graph): string[] {
  const names = new Set(weights.map(({ name }) => name));
  return [...new Set(decodeModel(bytes).graph.node.flatMap(({ input }) => input))].filter((name) =>
    names.has(name),
  );
}

/** The weights that are not used as they are stored. */
function castNames({ bytes, weights }: Graph): string[] {
  const names = new Set(weights.map(({ name }) => name));
  return decodeModel(bytes).graph.node.flatMap(({ opType, input }) =>
    opType === 'Cast' ? input.filter((name) => names.has(name)) : [],
  );
}

for (const model of ['flux2-klein-4b', 'flux2-klein-9b']) {
  const { transformer, vae, text_encoder } = readJson<
    Record<'transformer' | 'vae' | 'text_encoder', Described>
  >(`${model}.json`);

  describe(`${model}, as diffusers describes it`, () => {
    test('its transformer builds and leaves no tensor out', () => {
      const weights = weightsOf(transformer.tensors);
      const graph = buildFlux2Transformer(TransformerConfig.parse(transformer.config), weights, 'bfloat16');
      assert.deepEqual(namesOf(graph, weights), Object.keys(transformer.tensors).sort());
      assert.deepEqual(
        graph.weights.map(({ name }) => name),
        namesInOrderOfUse(graph),
      );
      assert.deepEqual(castNames(graph), [], 'bfloat16 weights are used as they are');
      assert.ok(graph.bytes.length < 1_000_000, 'weights stay outside');
      const last = [...weights.tensors.values()].at(-1);
      const ends = decodeModel(graph.bytes).graph.initializer.flatMap(({ externalData }) => {
        const field = (key: string) => Number(externalData?.find((entry) => entry.key === key)?.value);
        return externalData?.length ? [field('offset') + field('length')] : [];
      });
      assert.equal(Math.max(...ends), (last?.offset ?? 0) + (last?.length ?? 0));
    });

    test('its text encoder builds up to the last layer used, and fits the transformer', () => {
      const config = Qwen3Config.parse(text_encoder.config);
      const weights = weightsOf(text_encoder.tensors);
      const graph = buildQwen3(config, weights, [9, 18, 27], 'bfloat16');
      const used = Object.keys(text_encoder.tensors).filter(
        (name) => name !== 'model.norm.weight' && Number(/layers\.(\d+)/.exec(name)?.[1] ?? 0) < 27,
      );
      assert.equal(used.length, 1 + 27 * 11);
      assert.deepEqual(namesOf(graph, weights), used.sort());
      assert.deepEqual(
        graph.weights.map(({ name }) => name),
        namesInOrderOfUse(graph),
      );
      assert.deepEqual(castNames(graph), []);
      assert.equal(TransformerConfig.parse(transformer.config).joint_attention_dim, 3 * config.hidden_size);
    });

    test("its VAE's decoder builds and leaves no tensor out", () => {
      const used = Object.keys(vae.tensors).filter((name) => name !== 'bn.num_batches_tracked');
      const weights = weightsOf(vae.tensors);
      const graph = buildVaeDecoder(VaeConfig.parse(vae.config), weights, 'float32');
      assert.deepEqual(namesOf(graph, weights), used.sort());
    });
  });
}

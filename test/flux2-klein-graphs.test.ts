import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TransformerConfig, VaeConfig } from '../src/gpu/checkpoint/configs.js';
import type { Weights } from '../src/gpu/checkpoint/weights.js';
import { buildFlux2Transformer } from '../src/gpu/graph/flux2-transformer.js';
import { decodeModel } from '../src/gpu/graph/onnx.js';
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

function externalNames(graph: Uint8Array): string[] {
  return decodeModel(graph)
    .graph.initializer.filter((tensor) => tensor.externalData?.length)
    .map((tensor) => tensor.name)
    .sort();
}

for (const model of ['flux2-klein-4b', 'flux2-klein-9b']) {
  const { transformer, vae } = readJson<{ transformer: Described; vae: Described }>(`${model}.json`);

  describe(`${model}, as diffusers describes it`, () => {
    test('its transformer builds and leaves no tensor out', () => {
      const weights = weightsOf(transformer.tensors);
      const graph = buildFlux2Transformer(TransformerConfig.parse(transformer.config), weights);
      assert.deepEqual(externalNames(graph), Object.keys(transformer.tensors).sort());
      assert.ok(graph.length < 1_000_000, 'weights stay outside');
      const last = [...weights.tensors.values()].at(-1);
      const ends = decodeModel(graph).graph.initializer.flatMap(({ externalData }) => {
        const field = (key: string) => Number(externalData?.find((entry) => entry.key === key)?.value);
        return externalData?.length ? [field('offset') + field('length')] : [];
      });
      assert.equal(Math.max(...ends), (last?.offset ?? 0) + (last?.length ?? 0));
    });

    test("its VAE's decoder builds and leaves no tensor out", () => {
      const used = Object.keys(vae.tensors).filter((name) => name !== 'bn.num_batches_tracked');
      const graph = buildVaeDecoder(VaeConfig.parse(vae.config), weightsOf(vae.tensors));
      assert.deepEqual(externalNames(graph), used.sort());
    });
  });
}

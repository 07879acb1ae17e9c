import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { CheckpointInvalid } from '../src/contract/errors.js';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { Qwen3Config } from '../src/gpu/checkpoint/configs.js';
import { loadTokenizer } from '../src/gpu/engine/tokenizer.js';
import type { Graph } from '../src/gpu/graph/builder.js';
import { buildGraphs, FLOAT32 } from '../src/gpu/graph/graphs.js';
import { buildQwen3 } from '../src/gpu/graph/qwen3.js';
import { integerTensor, readOutput } from '../src/gpu/runtime/session.js';
import { readFloats, relativeDifference, TINY_QWEN } from './support/references.js';
import { runGraph } from './support/run-graph.js';

let scratch: string;
let folder: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tdiff-qwen3-'));
});
beforeEach(async () => {
  folder = await mkdtemp(join(scratch, 'klein-'));
  await cp(TINY_QWEN, folder, { recursive: true });
});
after(() => rm(scratch, { recursive: true }));

const open = (path = folder) => openCheckpoint(path, { name: 'klein', cacheFolder: join(scratch, 'cache') });

async function textEncoderOf(path = folder) {
  const { config, weights } = (await open(path)).textEncoder;
  if (config.model_type !== 'qwen3') throw new Error('expected a Qwen3');
  return { config, weights };
}

async function embed(graph: Graph, weightsFolder: string, ids: readonly number[], mask: readonly number[]) {
  const outputs = await runGraph(graph, weightsFolder, {
    input_ids: integerTensor(ids, [1, ids.length]),
    attention_mask: integerTensor(mask, [1, mask.length]),
  });
  return (await readOutput(outputs, 'prompt_embeds', 'float32')).data;
}

async function editJson(file: string, change: (json: Record<string, unknown>) => void): Promise<void> {
  const json = JSON.parse(await readFile(join(folder, file), 'utf8')) as Record<string, unknown>;
  change(json);
  await writeFile(join(folder, file), JSON.stringify(json));
}

const CONFIG = 'text_encoder/config.json';

test('the first hidden state is the embedding, the last one is normalised', async () => {
  const { config, weights } = await textEncoderOf();
  const { ids, mask } = (await loadTokenizer(await open())).encode('an owl');
  const embeds = await embed(buildQwen3(config, weights, [0, 6], 'float32'), weights.folder, ids, mask);
  const difference = relativeDifference(embeds, readFloats('tiny-qwen-reference', 'ends_of_an_owl.bin'));
  assert.ok(difference < 1e-3, `differs by ${difference}`);
});

test('layers above the last one used may be missing', async () => {
  const { config, weights } = await textEncoderOf();
  const used = /layers\.[0-3]\.|embed_tokens/;
  const tensors = new Map([...weights.tensors].filter(([name]) => used.test(name)));
  const graph = buildQwen3(config, { ...weights, tensors }, [1, 3, 4], 'float32');
  assert.equal(graph.weights.length, 1 + 4 * 11);
  assert.throws(() => buildQwen3(config, { ...weights, tensors }, [5], 'float32'), CheckpointInvalid);
});

test('weights without the prefix of a causal language model are found', async () => {
  const { config, weights } = await textEncoderOf();
  const tensors = new Map(
    [...weights.tensors].map(([name, tensor]) => [name.replace(/^model\./, ''), tensor]),
  );
  const { weights: bare } = buildQwen3(config, { ...weights, tensors }, [4], 'float32');
  const { weights: prefixed } = buildQwen3(config, weights, [4], 'float32');
  assert.deepEqual(
    bare.map(({ name, ...place }) => ({ name: `model.${name}`, ...place })),
    prefixed,
  );
});

test('rotary parameters are read as transformers 4 wrote them and as 5 does', async () => {
  const config = JSON.parse(await readFile(join(folder, CONFIG), 'utf8')) as Record<string, unknown>;
  const { rope_parameters, ...others } = config;
  assert.ok(rope_parameters);
  const old = Qwen3Config.parse({ ...others, rope_theta: 5000, rope_scaling: null });
  assert.equal(old.rope_theta, 5000);
  assert.equal(Qwen3Config.parse(config).rope_theta, 5000);
});

describe('what a text encoder needs and is not supported is refused', () => {
  const damages: [string, () => Promise<void>, RegExp][] = [
    [
      'stretched rotary positions',
      () =>
        editJson(CONFIG, (json) => {
          json.rope_parameters = { rope_theta: 5000, rope_type: 'yarn', factor: 4 };
        }),
      /text_encoder\/config\.json.*"default".*rope_parameters\.rope_type/s,
    ],
    [
      'stretched rotary positions in the old form',
      () =>
        editJson(CONFIG, (json) => {
          json.rope_scaling = { type: 'yarn', factor: 4 };
        }),
      /"default".*rope_scaling\.type/s,
    ],
    [
      'a sliding window',
      () =>
        editJson(CONFIG, (json) => {
          json.use_sliding_window = true;
        }),
      /false.*use_sliding_window/s,
    ],
    [
      'a layer with a sliding window',
      () =>
        editJson(CONFIG, (json) => {
          (json.layer_types as string[])[2] = 'sliding_attention';
        }),
      /"full_attention".*layer_types\[2\]/s,
    ],
    [
      'attention with biases',
      () =>
        editJson(CONFIG, (json) => {
          json.attention_bias = true;
        }),
      /false.*attention_bias/s,
    ],
    [
      'another activation',
      () =>
        editJson(CONFIG, (json) => {
          json.hidden_act = 'gelu';
        }),
      /"silu".*hidden_act/s,
    ],
    [
      'heads that can not be shared out',
      () =>
        editJson(CONFIG, (json) => {
          json.num_key_value_heads = 4;
        }),
      /divisor of num_attention_heads.*num_key_value_heads/s,
    ],
    [
      'another kind of model',
      () =>
        editJson(CONFIG, (json) => {
          json.model_type = 'llama';
        }),
      /text_encoder\/config\.json.*model_type/s,
    ],
    [
      'a class that is not what its config says',
      () =>
        editJson('model_index.json', (json) => {
          json.text_encoder = ['transformers', 'BertModel'];
        }),
      /model_index\.json has a BertModel for text_encoder, its config is a qwen3's/,
    ],
    [
      'a missing shard',
      () => rm(join(folder, 'text_encoder/model-00002-of-00002.safetensors')),
      /model-00002-of-00002\.safetensors: expected a safetensors file, got ENOENT/,
    ],
    [
      'a hidden state above the layers',
      () =>
        editJson('generation.json', (json) => {
          json.text_encoder_out_layers = [1, 3, 7];
        }),
      /hidden state 7, text_encoder has 6 layers/,
    ],
    [
      'a head size that the weights do not have',
      () =>
        editJson(CONFIG, (json) => {
          json.head_dim = 8;
        }),
      /model\.layers\.0\.self_attn\.q_proj\.weight: its config expects .* \[48, 40\], got BF16 \[96, 40\]/,
    ],
    [
      'a tokenizer that pads before the prompt',
      () =>
        editJson('tokenizer/tokenizer_config.json', (json) => {
          json.padding_side = 'left';
        }),
      /"right".*padding_side/s,
    ],
  ];
  for (const [name, damage, message] of damages) {
    test(name, async () => {
      await damage();
      const openAndBuild = async () => {
        const checkpoint = await open();
        await loadTokenizer(checkpoint);
        buildGraphs(checkpoint, FLOAT32);
      };
      await assert.rejects(openAndBuild, (error: unknown) => {
        assert.ok(error instanceof CheckpointInvalid, String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

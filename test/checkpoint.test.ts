import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { CheckpointInvalid } from '../src/contract/errors.js';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { loadTokenizer } from '../src/gpu/engine/tokenizer.js';
import { buildGraphs, FLOAT32, loadGraphs } from '../src/gpu/graph/graphs.js';
import { EMOJI, TINY_KLEIN } from './support/references.js';

let scratch: string;
let folder: string;
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tdiff-checkpoint-'));
});
beforeEach(async () => {
  folder = await mkdtemp(join(scratch, 'klein-'));
  await cp(TINY_KLEIN, folder, { recursive: true });
});
after(() => rm(scratch, { recursive: true }));

const open = () => openCheckpoint(folder, { name: 'klein', cacheFolder: join(scratch, 'cache') });
const openAndBuild = async () => {
  const checkpoint = await open();
  await loadTokenizer(checkpoint);
  return buildGraphs(checkpoint, FLOAT32);
};

async function editJson(file: string, change: (json: Record<string, unknown>) => void): Promise<void> {
  const json = JSON.parse(await readFile(join(folder, file), 'utf8')) as Record<string, unknown>;
  change(json);
  await writeFile(join(folder, file), JSON.stringify(json));
}

/** Writes a safetensors file anew with its header changed; the data stays. */
async function editHeader(
  file: string,
  change: (header: Record<string, { dtype: string; shape: number[] }>) => void,
): Promise<void> {
  const bytes = await readFile(join(folder, file));
  const length = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Parameters<typeof change>[0];
  change(header);
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(json.length));
  await writeFile(join(folder, file), Buffer.concat([prefix, json, bytes.subarray(8 + length)]));
}

function renameKey(record: Record<string, unknown>, from: string, to: string): void {
  record[to] = record[from];
  delete record[from];
}

const TEXT = 'text_encoder/model.safetensors';
const VAE = 'vae/diffusion_pytorch_model.safetensors';
const SHARD = 'transformer/diffusion_pytorch_model-00001-of-00003.safetensors';

test('a checkpoint tells what its model can draw', async () => {
  const { card } = await openCheckpoint(EMOJI, { name: 'emoji', cacheFolder: join(scratch, 'cache') });
  assert.match(card.digest, /^[0-9a-f]{64}$/);
  assert.deepEqual(
    { ...card, digest: '' },
    {
      name: 'emoji',
      digest: '',
      unit: 16,
      minSide: 64,
      maxSide: 512,
      defaultWidth: 256,
      defaultHeight: 256,
      defaultSteps: 4,
      guidance: false,
      maxTokens: 32,
    },
  );
});

describe('what is wrong with a checkpoint is said with the file, what was expected and what came', () => {
  const damages: [string, () => Promise<void>, RegExp][] = [
    [
      'no folder',
      () => rm(folder, { recursive: true }),
      /klein-\w+: expected a checkpoint folder, got ENOENT/,
    ],
    ['no model_index.json', () => rm(join(folder, 'model_index.json')), /model_index\.json: .*ENOENT/],
    [
      'a config that is no JSON',
      () => writeFile(join(folder, 'vae/config.json'), '{'),
      /vae\/config\.json: expected JSON/,
    ],
    [
      'another pipeline',
      () =>
        editJson('model_index.json', (json) => {
          json._class_name = 'StableDiffusionPipeline';
        }),
      /model_index\.json.*"Flux2KleinPipeline".*_class_name/s,
    ],
    [
      'another text encoder',
      () =>
        editJson('model_index.json', (json) => {
          json.text_encoder = ['transformers', 'CLIPTextModel'];
        }),
      /"BertModel".*text_encoder/s,
    ],
    [
      'a model that needs guidance',
      () =>
        editJson('model_index.json', (json) => {
          json.is_distilled = false;
        }),
      /is_distilled/,
    ],
    [
      'rope axes that do not add up',
      () =>
        editJson('transformer/config.json', (json) => {
          json.axes_dims_rope = [4, 8, 6, 4];
        }),
      /transformer\/config\.json.*add up to attention_head_dim.*axes_dims_rope/s,
    ],
    [
      'an activation that is not supported',
      () =>
        editJson('vae/config.json', (json) => {
          json.act_fn = 'mish';
        }),
      /vae\/config\.json.*"silu".*act_fn/s,
    ],
    [
      'components that do not fit together',
      () =>
        editJson('generation.json', (json) => {
          json.text_encoder_out_layers = [3];
        }),
      /transformer expects prompt embeddings of 36, .* make 18/,
    ],
    [
      'a hidden state that does not exist',
      () =>
        editJson('generation.json', (json) => {
          json.text_encoder_out_layers = [0, 4];
        }),
      /hidden state 4, text_encoder has 3 layers/,
    ],
    [
      'an unknown setting of our own',
      () =>
        editJson('generation.json', (json) => {
          json.steps = 4;
        }),
      /generation\.json.*"steps"/s,
    ],
    [
      'a missing weight',
      () => editHeader(TEXT, (header) => renameKey(header, 'encoder.layer.1.output.dense.weight', 'other')),
      /text_encoder: tensor encoder\.layer\.1\.output\.dense\.weight: expected F32 .* \[18, 40\], it is missing/,
    ],
    [
      'a weight of another shape',
      () =>
        editHeader(VAE, (header) => {
          const tensor = header['decoder.conv_in.weight'];
          if (tensor) tensor.shape = [4, 12, 3, 3];
        }),
      /vae\/diffusion_pytorch_model\.safetensors: tensor decoder\.conv_in\.weight: its config expects .* \[12, 4, 3, 3\], got F16 \[4, 12, 3, 3\]/,
    ],
    [
      'a weight of another type',
      () =>
        editHeader(VAE, (header) => {
          const tensor = header['decoder.conv_in.weight'];
          if (tensor) tensor.dtype = 'I16';
        }),
      /tensor decoder\.conv_in\.weight: .* got I16/,
    ],
    [
      'int8 without a scale',
      () =>
        editHeader(VAE, (header) => {
          const tensor = header['decoder.conv_norm_out.weight'];
          if (tensor) Object.assign(tensor, { dtype: 'I8', shape: [16] });
        }),
      /decoder\.conv_norm_out\.weight/,
    ],
    [
      'a config that asks for more layers than there are',
      () =>
        editJson('transformer/config.json', (json) => {
          json.num_layers = 3;
        }),
      /tensor transformer_blocks\.2\..*it is missing/,
    ],
    [
      'truncated weights',
      () => truncate(join(folder, VAE), 50_000),
      /vae\/diffusion_pytorch_model\.safetensors: expected \d+ bytes as its header says, the file has 50000/,
    ],
    [
      'an empty file of weights',
      () => truncate(join(folder, TEXT), 0),
      /model\.safetensors: not a safetensors file: expected at least 8 bytes, got 0/,
    ],
    [
      'a missing shard',
      () => rm(join(folder, SHARD)),
      /00001-of-00003\.safetensors: expected a safetensors file, got ENOENT/,
    ],
    [
      'a shard index that leads out of the folder',
      () =>
        editJson('transformer/diffusion_pytorch_model.safetensors.index.json', (json) => {
          json.weight_map = { a: '../../etc/a.safetensors' };
        }),
      /index\.json: .*weight_map/s,
    ],
    [
      'a tokenizer that is none',
      () => writeFile(join(folder, 'tokenizer/tokenizer.json'), '{}'),
      /tokenizer\.json: not a tokenizer/,
    ],
    [
      'no chat template',
      () => rm(join(folder, 'tokenizer/chat_template.jinja')),
      /expected chat_template\.jinja/,
    ],
  ];
  for (const [name, damage, message] of damages) {
    test(name, async () => {
      await damage();
      await assert.rejects(openAndBuild, (error: unknown) => {
        assert.ok(error instanceof CheckpointInvalid, String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

test("a model's digest follows its contents and nothing else", async () => {
  const { digest } = (await open()).card;
  const copy = join(scratch, 'copy');
  await cp(folder, copy, { recursive: true });
  await writeFile(join(copy, 'README.md'), 'a note');
  const other = await openCheckpoint(copy, { name: 'other', cacheFolder: join(scratch, 'cache') });
  assert.equal(other.card.digest, digest);

  const bytes = await readFile(join(folder, VAE));
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
  await writeFile(join(folder, VAE), bytes);
  assert.notEqual((await open()).card.digest, digest);
});

test('weights behind symbolic links, as model hubs keep them, are found', async () => {
  const blob = join(scratch, 'blob-1234');
  await rename(join(folder, VAE), blob);
  await symlink(blob, join(folder, VAE));
  const checkpoint = await open();
  assert.equal(checkpoint.vae.weights.folder, scratch);
  assert.ok(buildGraphs(checkpoint, FLOAT32).vaeDecoder.weights.every(({ file }) => file === blob));
});

test('graphs come out of the cache until configs, headers, compute types or the cached files change', async () => {
  const cacheFolder = await mkdtemp(join(scratch, 'graphs-'));
  const load = async (compute = FLOAT32) => loadGraphs(await open(), { cacheFolder, compute });
  const built = await load();
  const cached = await load();
  assert.equal(cached.digest, built.digest);
  assert.deepEqual(Buffer.from(cached.transformer.bytes), Buffer.from(built.transformer.bytes));
  assert.deepEqual(cached.transformer.weights, built.transformer.weights);
  assert.notEqual((await load({ ...FLOAT32, transformer: 'bfloat16' })).digest, built.digest);

  await editJson('transformer/config.json', (json) => {
    json.eps = 1e-3;
  });
  assert.notEqual((await load()).digest, built.digest);
  await editJson('transformer/config.json', (json) => {
    json.eps = 1e-5;
  });

  for (const [file, damage] of [
    ['transformer.onnx', 'damaged'],
    ['weights.json', '{"textEncoder":[],"transformer":[],"vaeDecoder":[]}'],
  ] as const) {
    for (const key of await readdir(join(cacheFolder, 'graphs'))) {
      await writeFile(join(cacheFolder, 'graphs', key, file), damage);
    }
    const mended = await load();
    assert.equal(mended.digest, built.digest);
    assert.deepEqual(mended.transformer.weights, built.transformer.weights);
  }
});

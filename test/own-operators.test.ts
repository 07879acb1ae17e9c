import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { readFatBinary } from '../bench/gpu/fatbin.js';
import { EngineCrashed } from '../src/contract/errors.js';
import { openCheckpoint } from '../src/gpu/checkpoint/checkpoint.js';
import { GraphBuilder } from '../src/gpu/graph/builder.js';
import { buildGraphs, FLOAT32 } from '../src/gpu/graph/graphs.js';
import { decodeModel, encodeModel } from '../src/gpu/graph/onnx.js';
import {
  canNormaliseGroups,
  canUseOwnOperators,
  gatedProduct,
  OWN,
  rotateHeads,
  usesOwnOperators,
} from '../src/gpu/graph/own-operators.js';
import { kernelsModule } from '../src/gpu/runtime/cuda/cuda-kernels.js';
import { KERNELS_SOURCE_SHA256 } from '../src/gpu/runtime/cuda/kernels-fatbin.js';
import { bytesAt } from '../src/gpu/runtime/cuda/native.js';
import { LEAST_GRAPH, Ort, type OrtSession } from '../src/gpu/runtime/cuda/ort.js';
import { RunThread } from '../src/gpu/runtime/cuda/run-thread.js';
import { StageProgress } from '../src/gpu/runtime/cuda/stage-progress.js';
import { onnxruntimeLibrary } from '../src/gpu/runtime/onnxruntime-library.js';
import { packageRoot } from '../src/package-root.js';
import { TINY_KLEIN } from './support/references.js';
import { scratchFolder } from './support/scratch.js';

const scratch = scratchFolder();
const ON_CPU = new URL('./support/cpu-kernels.js', import.meta.url).href;
const NO_WEIGHTS = { folder: '/nowhere', tensors: new Map() };

function gatedGraph(): Uint8Array {
  const graph = new GraphBuilder('gated', NO_WEIGHTS, 'float32');
  const side = (name: string) => graph.input(name, 'float32', ['batch', 'tokens', 8]);
  const joined = gatedProduct(graph, side('gate'), side('value'), side('before'));
  graph.output('joined', 'float32', ['batch', 'tokens', 16], joined);
  return graph.finish().bytes;
}

const provider = { kind: 'cpu' } as const;

function openGraph(ort: Ort, graph: Uint8Array, module: string): Promise<OrtSession> {
  const ownKernels = { module, type: 'float32' } as const;
  return ort.createSession({
    graph,
    weightsFolder: scratch,
    weights: new Map(),
    provider,
    threads: 1,
    ownKernels,
  });
}

/** Values for a graph's inputs, [1, rows, 8] each; held as long as the session is used. */
function valuesFor(ort: Ort, inputs: Record<string, Float32Array>): Map<string, bigint> {
  return new Map(
    Object.entries(inputs).map(([name, data]) => {
      const dims = [1, data.length / 8, 8];
      return [name, ort.createValue({ type: 'float32', dims, data, byteLength: data.byteLength }, provider)];
    }),
  );
}

const ones = (rows: number) => new Float32Array(8 * rows).fill(1);

describe('operators of our own', () => {
  // Before any other session of this file. Sessions that are made at once, and all bring the domain, raced to enter it.
  test('have a domain that ONNX Runtime knows before the first session', async () => {
    const graph = new GraphBuilder('nothing', NO_WEIGHTS, 'float32');
    const x = graph.input('x', 'float32', ['n']);
    graph.output('y', 'float32', ['n'], graph.op('Identity', [x]));
    const model = decodeModel(graph.finish().bytes);
    const later = encodeModel({
      ...model,
      opsetImport: [...model.opsetImport, { domain: OWN, version: 1001 }],
    });
    // It refuses a version that is too new only of a domain that it knows.
    const opening = Ort.load(onnxruntimeLibrary()).createSession({
      graph: later,
      weightsFolder: scratch,
      weights: new Map(),
      provider,
      threads: 1,
    });
    await assert.rejects(opening, /1001.*temporal_diffusion/s);
  });

  test('a graph has them where the runtime has kernels for its sizes, and else none', async () => {
    const checkpoint = await openCheckpoint(TINY_KLEIN, { name: 'tested', cacheFolder: scratch });
    const kinds = (ownOperators: boolean) => {
      const { transformer, textEncoder, vaeDecoder } = buildGraphs(checkpoint, { ...FLOAT32, ownOperators });
      assert.equal(usesOwnOperators(textEncoder.bytes), false);
      for (const { bytes } of [transformer, vaeDecoder]) assert.equal(usesOwnOperators(bytes), ownOperators);
      const nodes = [transformer, vaeDecoder].flatMap(({ bytes }) => decodeModel(bytes).graph.node);
      const count = (isOne: (node: (typeof nodes)[number]) => boolean) => nodes.filter(isOne).length;
      return {
        own: count(({ domain, opType }) => domain === OWN && opType !== 'AwaitWeights'),
        turning: count(({ opType }) => opType === 'RotaryEmbedding'),
        instances: count(({ opType }) => opType === 'InstanceNormalization'),
        all: nodes.length,
        weights: [transformer, vaeDecoder].map(({ weights }) => weights.map(({ name }) => name)),
      };
    };
    const [plain, own] = [kinds(false), kinds(true)];
    const { num_layers: double, num_single_layers: single } = checkpoint.transformer.config;
    assert.equal(plain.own, 0);
    assert.equal(plain.turning, 2 * (double + single));
    // Queries, keys, and one product a feed-forward, of which a double block has two; a sum with the next normalisation
    // for what changes tokens, but for the last changes of each stream, whose sums are joined or cut before that.
    const changes = 4 * double + single - 2 - 1;
    assert.equal(own.own, 4 * double + 3 * single + changes + plain.instances);
    assert.equal(own.turning + own.instances, 0);
    assert.ok(own.all < plain.all);
    // A keeper, whose plan knows nothing of operators, holds them in the same order.
    assert.deepEqual(own.weights, plain.weights);
    assert.equal(canUseOwnOperators(128, 4096, 12_288), true);
    const others = [
      [264, 528, 1056],
      [20, 80, 160],
      [24, 48, 100],
      [128, 8320, 16_640],
    ] as const;
    for (const [head, token, inner] of others) {
      assert.equal(canUseOwnOperators(head, token, inner), false, `${head}, ${token}, ${inner}`);
    }
    assert.equal(canNormaliseGroups('float16', [2, 2]) || canNormaliseGroups('float32', [1, 1]), false);
  });

  test('an input that is left out is none', async () => {
    const ort = Ort.load(onnxruntimeLibrary());
    const graph = new GraphBuilder('heads', NO_WEIGHTS, 'float32');
    const heads = graph.input('x', 'float32', ['batch', 'tokens', 8]);
    const scale = graph.floats([1, 2, 3, 4], [4]);
    // Everything is turned by a right angle.
    const turn = { cos: graph.floats([0, 0], [1, 2]), sin: graph.floats([1, 1], [1, 2]) };
    const turned = rotateHeads(graph, [{ heads, scale }], turn, { heads: 2, epsilon: 0 });
    graph.output('turned', 'float32', ['batch', 'tokens', 8], turned);
    graph.output('gated', 'float32', ['batch', 'tokens', 8], gatedProduct(graph, turned, heads));
    const session = await openGraph(ort, graph.finish().bytes, ON_CPU);
    // Root mean squares of 1 and of 5.
    const x = Float32Array.of(1, 1, -1, 1, 1, 7, 5, 5);
    const values = valuesFor(ort, { x });
    const outputs = await session.run(values);
    const read = (name: string) => {
      const tensor = outputs.get(name);
      assert.ok(tensor);
      assert.deepEqual(tensor.dims, [1, 1, 8]);
      return [...new Float32Array(bytesAt(tensor.address, tensor.byteLength).slice().buffer)];
    };
    const expected = [-2, 1, -4, -3, -2.8, 0.2, -4, 3];
    for (const [at, value] of read('turned').entries()) {
      assert.ok(Math.abs(value - (expected[at] as number)) < 1e-6, `${at}: ${value}`);
    }
    for (const [at, value] of read('gated').entries()) {
      const g = expected[at] as number;
      assert.ok(Math.abs(value - (g / (1 + Math.exp(-g))) * (x[at] as number)) < 1e-6, `${at}: ${value}`);
    }
    for (const { value } of outputs.values()) ort.functions.ReleaseValue(value);
    for (const value of values.values()) ort.functions.ReleaseValue(value);
    await session.close();
    ort.close();
  });

  test('a kernel that fails, fails its run, in its own words, and the next run is made', async () => {
    const ort = Ort.load(onnxruntimeLibrary());
    const failing = `data:text/javascript,
      let calls = 0;
      export const openOwnKernels = () => ({
        rotateHeads() {},
        gatedProduct() { if (calls++ === 0) throw new Error('no luck today'); },
      });`;
    const session = await openGraph(ort, gatedGraph(), failing);
    const values = valuesFor(ort, { gate: ones(2), value: ones(2), before: ones(2) });
    await assert.rejects(session.run(values), /no luck today/);
    const outputs = await session.run(values);
    assert.deepEqual(outputs.get('joined')?.dims, [1, 2, 16]);
    for (const { value } of outputs.values()) ort.functions.ReleaseValue(value);
    for (const value of values.values()) ort.functions.ReleaseValue(value);
    await session.close();
    ort.close();
  });

  test('kernels that can not be had are told when the session is made', async () => {
    const ort = Ort.load(onnxruntimeLibrary());
    await assert.rejects(
      openGraph(ort, gatedGraph(), 'data:text/javascript,throw new Error("no kernels for this one")'),
      (error: unknown) => error instanceof EngineCrashed && /no kernels for this one/.test(error.message),
    );
    ort.close();
  });

  test('the least graph is the one that the builder writes', () => {
    const builder = new GraphBuilder('nothing', { folder: '', tensors: new Map() }, 'float32');
    const x = builder.input('x', 'float32', ['n']);
    builder.output('y', 'float32', ['n'], builder.op('Identity', [x]));
    assert.deepEqual(LEAST_GRAPH, Buffer.from(builder.finish().bytes));
  });

  test("GPUs' kernels are compiled from the source that is here", async () => {
    const source = await readFile(`${packageRoot()}/tools/kernels/kernels.cu`);
    assert.equal(
      createHash('sha256').update(source).digest('hex'),
      KERNELS_SOURCE_SHA256,
      'run tools/kernels/compile.py',
    );
    const parts = readFatBinary(kernelsModule());
    assert.deepEqual(
      parts.map(({ isPtx, architecture }) => `${isPtx ? 'PTX ' : ''}${architecture}`),
      ['75', '80', '90', '120', 'PTX 75'],
    );
    const ptx = parts.at(-1)?.payload.toString('latin1') ?? '';
    const entries = [...ptx.matchAll(/\.entry (\w+)\(/g)].map(([, name]) => name).sort();
    const kernels = [
      ...['gated_product', 'gated_sum_norm', 'rotate_heads'].flatMap((kernel) =>
        ['bfloat16', 'float16'].map((type) => `${kernel}_${type}`),
      ),
      ...['group_norm_float32', 'group_sums_float32'],
    ].sort();
    assert.deepEqual(entries, kernels);
    for (const { architecture, payload } of parts)
      for (const kernel of kernels) assert.ok(payload.includes(kernel), `${architecture}: ${kernel}`);
  });
});

test('ONNX Runtime finds how to free a kernel when the thread that made it is gone', async () => {
  const progress = new StageProgress().shared;
  const thread = new RunThread(onnxruntimeLibrary(), progress, { module: ON_CPU, type: 'float32' });
  const operators = await thread.operators;
  assert.ok(operators.length > 0);
  // `version` and 25 members of each.
  const tables = () => operators.map((address) => Buffer.from(bytesAt(address, 26 * 8)).toString('hex'));
  const made = tables();
  await thread.close();
  // Whoever comes next gets the memory that the thread has given back.
  const next = new Worker(
    'const held = []; for (let n = 0; n < 20_000; n++) held.push(Buffer.alloc(26 * 8, 0xff));',
    {
      eval: true,
    },
  );
  await once(next, 'exit');
  assert.deepEqual(tables(), made);
});

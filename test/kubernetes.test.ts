import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { gpuQueue } from '../src/contract/queues.js';
import { packageRoot } from '../src/package-root.js';
import { METRICS } from '../src/worker/metrics.js';
import { scratchFolder } from './support/scratch.js';
import { assertWorkerTakes, optionOf } from './support/worker-arguments.js';

const folder = join(packageRoot(), 'deploy', 'kubernetes');
const scratch = scratchFolder();

function documentsOf(name: string): unknown[] {
  return parseAllDocuments(readFileSync(join(folder, name), 'utf8')).map((document) => {
    assert.deepEqual(document.errors, [], name);
    return document.toJS();
  });
}

const Probe = z.looseObject({ httpGet: z.strictObject({ path: z.string(), port: z.literal('health') }) });
const Security = z.looseObject({
  allowPrivilegeEscalation: z.boolean(),
  readOnlyRootFilesystem: z.boolean(),
  capabilities: z.looseObject({ drop: z.array(z.string()) }),
});
const Named = z.looseObject({ name: z.string() });
const Deployment = z.looseObject({
  kind: z.literal('Deployment'),
  metadata: Named,
  spec: z.looseObject({
    replicas: z.number().optional(),
    strategy: z.looseObject({ rollingUpdate: z.looseObject({ maxSurge: z.number() }) }).optional(),
    selector: z.strictObject({ matchLabels: z.record(z.string(), z.string()) }),
    template: z.looseObject({
      metadata: z.looseObject({ labels: z.record(z.string(), z.string()) }),
      spec: z.looseObject({
        terminationGracePeriodSeconds: z.number(),
        securityContext: z.looseObject({ runAsNonRoot: z.boolean() }),
        volumes: z.array(Named),
        containers: z.tuple([
          z.looseObject({
            args: z.array(z.string()),
            image: z.string(),
            envFrom: z.array(z.record(z.string(), Named)),
            ports: z.tuple([z.strictObject({ name: z.literal('health'), containerPort: z.number() })]),
            readinessProbe: Probe,
            livenessProbe: Probe,
            securityContext: Security,
            resources: z.looseObject({ limits: z.record(z.string(), z.union([z.string(), z.number()])) }),
            volumeMounts: z.array(Named),
          }),
        ]),
      }),
    }),
  }),
});

const [jobsDeployment, budget] = documentsOf('jobs.yml') as [unknown, { spec: { minAvailable: number } }];
const deployments = [jobsDeployment, ...documentsOf('gpu-worker.yml')].map((one) => Deployment.parse(one));
const [jobs, gpu] = deployments as [z.infer<typeof Deployment>, z.infer<typeof Deployment>];

for (const { metadata, spec } of deployments) {
  describe(`the deployment ${metadata.name}`, () => {
    const pod = spec.template.spec;
    const [container] = pod.containers;

    test('starts its worker as our own command takes it', () => assertWorkerTakes(container.args, scratch));

    test('asks the health port, and restarts for no reason but a dead process', () => {
      assert.equal(String(container.ports[0].containerPort), optionOf(container.args, 'health-port'));
      assert.equal(container.readinessProbe.httpGet.path, '/readyz');
      assert.equal(container.livenessProbe.httpGet.path, '/livez');
    });

    test('gives the worker longer to end than its pictures have', () => {
      assert.ok(pod.terminationGracePeriodSeconds >= Number(optionOf(container.args, 'grace')) + 15);
    });

    test('grants nothing that drawing does not need', () => {
      assert.equal(pod.securityContext.runAsNonRoot, true);
      assert.deepEqual(container.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    });

    test('finds its own pods, mounts and settings', () => {
      assert.deepEqual(spec.template.metadata.labels, spec.selector.matchLabels);
      const volumes = pod.volumes.map(({ name }) => name);
      assert.deepEqual(
        container.volumeMounts.map(({ name }) => name),
        volumes,
      );
      const [kustomization] = documentsOf('kustomization.yml') as [Kustomization];
      const maps = kustomization.configMapGenerator.map(({ name }) => name);
      assert.ok(maps.includes(container.envFrom[0]?.configMapRef?.name ?? ''));
      assert.ok(kustomization.images.some(({ name }) => name === container.image));
    });
  });
}

interface Kustomization {
  readonly images: { name: string; newTag: string }[];
  readonly configMapGenerator: { name: string }[];
}

test('of the role jobs there are two, of which one stays; a GPU worker has one GPU, and none beside it while it is replaced', () => {
  assert.equal(jobs.spec.replicas, 2);
  assert.equal(budget.spec.minAvailable, 1);
  assert.equal(gpu.spec.template.spec.containers[0].resources.limits['nvidia.com/gpu'], 1);
  assert.equal(gpu.spec.strategy?.rollingUpdate.maxSurge, 0);
  const [one, other] = [jobs, gpu].map(({ spec }) => spec.template.spec.containers[0].args);
  for (const option of ['model', 'checkpoint', 'storage']) {
    assert.equal(optionOf(one ?? [], option), optionOf(other ?? [], option), option);
  }
});

test('GPUs are scaled by what waits and by what is at work, both', () => {
  const [scaled] = documentsOf('scaling.yml') as [ScaledObject];
  const { scaleTargetRef, minReplicaCount, triggers, advanced } = scaled.spec;
  assert.equal(scaleTargetRef.name, gpu.metadata.name);
  assert.equal(minReplicaCount, 0);
  // Whoever scales decides how many there are.
  assert.equal(gpu.spec.replicas, undefined);
  const [backlog, busy] = triggers;
  const model = optionOf(gpu.spec.template.spec.containers[0].args, 'model') ?? '';
  assert.equal(backlog?.metadata.taskQueue, gpuQueue(model));
  assert.equal(backlog?.metadata.queueTypes, 'activity');
  const query = busy?.metadata.query ?? '';
  assert.ok(query.includes(`rate(${METRICS.engineBusy.name}_total{model="${model}"}`), query);
  const names = triggers.map(({ name }) => name);
  assert.equal(advanced.scalingModifiers.formula, names.join(' + '));
});

interface ScaledObject {
  readonly spec: {
    scaleTargetRef: { name: string };
    minReplicaCount: number;
    triggers: { name: string; metadata: Record<string, string> }[];
    advanced: { scalingModifiers: { formula: string } };
  };
}

test('the patch for snapshots adds what the Dockerfile asks for', () => {
  const [patch] = documentsOf('snapshots.yml') as [
    {
      spec: {
        template: { spec: { containers: { securityContext: { capabilities: { add: string[] } } }[] } };
      };
    },
  ];
  const dockerfile = readFileSync(join(packageRoot(), 'Dockerfile'), 'utf8');
  assert.deepEqual(
    patch.spec.template.spec.containers[0]?.securityContext.capabilities.add,
    [...dockerfile.matchAll(/--cap-add (\w+)/g)].map(([, name]) => name),
  );
});

const kubectl = spawnSync('kubectl', ['version', '--client']).status === 0;
test('kustomize puts it together', { skip: !kubectl && 'there is no kubectl here' }, () => {
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const kinds = parseAllDocuments(stdout).map((document) => document.get('kind'));
  assert.deepEqual(kinds.sort(), [
    ...['ConfigMap', 'Deployment', 'Deployment', 'PodDisruptionBudget', 'PodMonitor', 'ScaledObject'],
  ]);
});

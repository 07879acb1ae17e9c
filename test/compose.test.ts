import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { parse, parseAllDocuments } from 'yaml';
import { packageRoot } from '../src/package-root.js';
import { startHealthServer } from '../src/worker/health-server.js';
import { COMPOSE, COMPOSE_TEXT, withDefaults } from './support/compose.js';
import { scratchFolder } from './support/scratch.js';
import { assertWorkerTakes, optionOf } from './support/worker-arguments.js';

const execute = promisify(execFile);
const root = packageRoot();
const scratch = scratchFolder();
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** How workers find an S3 server of one's own. */
const STORE_VARIABLES = ['AWS_ACCESS_KEY_ID', 'AWS_ENDPOINT_URL', 'AWS_REGION', 'AWS_SECRET_ACCESS_KEY'];

const { services, volumes } = COMPOSE;
const named = Object.entries(services);
const ours = named.filter(([, { build }]) => build !== undefined);

const example = new Map(
  read('.env.example')
    .split('\n')
    .filter((line) => /^[A-Z]/.test(line))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
);

/** It runs to its end, and others wait for that. */
const isOneShot = (name: string) =>
  named.some(([, { depends_on = {} }]) => depends_on[name]?.condition === 'service_completed_successfully');

describe('docker-compose.yml', () => {
  test('has what belongs to it', () => {
    assert.deepEqual(named.map(([name]) => name).sort(), [
      'grafana',
      'jobs',
      'postgresql',
      'prometheus',
      's3',
      's3-bucket',
      'temporal',
      'temporal-namespace',
      'temporal-schema',
      'temporal-ui',
      'worker-cpu',
      'worker-gpu',
    ]);
    const withProfile = named.filter(([, { profiles }]) => profiles !== undefined);
    assert.deepEqual(
      withProfile.map(([name, { profiles }]) => [name, profiles]),
      [['worker-gpu', ['gpu']]],
    );
    const devices = services['worker-gpu']?.deploy?.resources?.reservations.devices;
    assert.deepEqual(devices, [{ driver: 'nvidia', device_ids: ['0'], capabilities: ['gpu'] }]);
  });

  test('pins every image, and builds ours from stages that the Dockerfile has', () => {
    const stages = [...read('Dockerfile').matchAll(/^FROM \S+ AS (\w+)$/gm)].map(([, stage]) => stage);
    for (const [name, { image, build }] of named) {
      if (build === undefined) assert.match(image, /^[a-z0-9/-]+:v?\d+\.\d+(\.\d+)?(-alpine)?$/, name);
      else assert.ok(stages.includes(build.target), `${name}: no stage ${build.target}`);
    }
  });

  test('knows of every service whether it is well, or when it is done', () => {
    for (const [name, { healthcheck, restart, depends_on = {} }] of named) {
      assert.equal(healthcheck === undefined, isOneShot(name), name);
      assert.equal(restart, isOneShot(name) ? 'on-failure:5' : 'unless-stopped', name);
      if (healthcheck) assert.equal(healthcheck.test[0], 'CMD', name);
      for (const [other, { condition }] of Object.entries(depends_on)) {
        assert.ok(other in services, `${name} depends on ${other}`);
        assert.equal(condition === 'service_healthy', !isOneShot(other), `${name} depends on ${other}`);
      }
    }
  });

  test('holds no secret: each comes from .env, and nothing starts without', () => {
    for (const [name, { environment = {} }] of named) {
      for (const [key, value] of Object.entries(environment)) {
        if (/PASSWORD|PWD|SECRET|ACCESS_KEY/.test(key)) {
          assert.match(value, /^\$\{\w+:\?see \.env\.example\}$/, `${name}: ${key}`);
        }
      }
    }
    const used = new Map<string, string>();
    for (const [, name = '', fallback] of COMPOSE_TEXT.matchAll(/\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}/g)) {
      used.set(name, fallback ?? '');
    }
    assert.equal(
      [...COMPOSE_TEXT.matchAll(/(?<!\$)\$\{/g)].length,
      [...COMPOSE_TEXT.matchAll(/\$\{\w+:[-?]/g)].length,
    );
    assert.deepEqual([...example].sort(), [...used].sort());
    for (const ignore of ['.gitignore', '.dockerignore']) assert.match(read(ignore), /^\.env$/m, ignore);
  });

  test('opens ports to this machine only, and none twice', () => {
    const ports = named.flatMap(([, { ports = [] }]) => ports);
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/);
    assert.equal(new Set(ports.map((port) => port.split(':')[1])).size, ports.length);
  });

  test('mounts what is there, and keeps what must last in volumes', () => {
    const used = new Set<string>();
    for (const [name, service] of named) {
      for (const volume of service.volumes ?? []) {
        const [source = '', target, mode] = withDefaults(volume).split(':');
        assert.match(target ?? '', /^\//, `${name}: ${volume}`);
        if (source.startsWith('./')) {
          assert.ok(existsSync(join(root, source)), `${name}: ${source}`);
          assert.equal(mode, 'ro', `${name}: ${volume}`);
        } else used.add(source);
      }
    }
    assert.deepEqual([...used].sort(), Object.keys(volumes).sort());
  });

  test('names no host that is not there', () => {
    const places = named.flatMap(([, { environment = {} }]) => Object.values(environment));
    const others = [
      read('deploy/prometheus.yml'),
      read('deploy/grafana/provisioning/datasources/prometheus.yml'),
    ];
    const hosts = [...places, ...others].flatMap((text) =>
      [...text.matchAll(/(?<![\w.:/-])(?:https?:\/\/)?([a-z][a-z0-9-]*):\d{4}\b/g)].map(
        ([, host]) => host ?? '',
      ),
    );
    const scraped: { dns_sd_configs: { names: string[]; port: number }[] }[] = parse(
      read('deploy/prometheus.yml'),
    ).scrape_configs;
    for (const [index, port] of [8080, 9464].entries()) {
      const [found] = scraped[index]?.dns_sd_configs ?? [];
      assert.deepEqual([found?.names, found?.port], [ours.map(([name]) => name), port]);
    }
    assert.ok(hosts.length >= 6, hosts.join());
    for (const host of hosts) assert.ok(host in services, host);
  });

  for (const [name, { command = [] }] of ours) {
    test(`starts ${name} as our own command takes it`, async () => {
      const argv = command.map(withDefaults);
      await assertWorkerTakes(argv, scratch);
      // The port that is asked for its health, and scraped.
      assert.equal(optionOf(argv, 'health-port'), '8080');
      assert.equal(optionOf(argv, 'temporal-metrics-port'), '9464');
      const { bucket } = /^s3:\/\/(?<bucket>[^/?]+)/.exec(optionOf(argv, 'storage') ?? '')?.groups ?? {};
      assert.deepEqual(services['s3-bucket']?.entrypoint, ['mkdir', '-p', `/buckets/${bucket}`]);
      const { port } =
        /:(?<port>\d+)$/.exec(services[name]?.environment?.AWS_ENDPOINT_URL ?? '')?.groups ?? {};
      assert.equal(services.s3?.environment?.VGW_PORT, `:${port}`);
    });

    test(`gives ${name} longer to end than its pictures have`, () => {
      const { command = [], stop_grace_period: patience = '' } = services[name] ?? {};
      assert.ok(Number.parseInt(patience, 10) >= Number(optionOf(command, 'grace') ?? 30) + 10, patience);
    });
  }

  test('sets what workers read, and nothing else', () => {
    for (const [name, { environment = {} }] of ours) {
      const { TEMPORAL_ADDRESS = '', TEMPORAL_NAMESPACE = '', ...others } = environment;
      const { connectionOptions, namespace } = loadClientConnectConfig({
        overrideEnvVars: { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE },
        disableFile: true,
      });
      assert.deepEqual([connectionOptions.address, namespace], [TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE], name);
      // What test/stack.test.ts has workers find their store with.
      assert.deepEqual(Object.keys(others).sort(), STORE_VARIABLES, name);
    }
  });

  test('asks workers for their health in a way that works', async () => {
    const ways = new Set(ours.map(([, { healthcheck }]) => JSON.stringify(healthcheck?.test)));
    for (const way of ways) {
      const [, node, ...argv] = JSON.parse(way) as string[];
      assert.equal(node, 'node');
      let reasons: string[] = [];
      const server = await startHealthServer(0, () => reasons);
      const ask = () =>
        execute(
          process.execPath,
          argv.map((argument) => argument.replace(':8080/', `:${server.port}/`)),
        ).then(
          () => 0,
          ({ code }) => code,
        );
      try {
        assert.equal(await ask(), 0);
        reasons = ['the engine is starting'];
        assert.equal(await ask(), 1);
      } finally {
        await server.close();
      }
      assert.equal(await ask(), 1);
    }
  });

  test('grants what snapshots need, as the Dockerfile has it', () => {
    const dockerfile = read('Dockerfile');
    const capabilities = [...dockerfile.matchAll(/--cap-add (\w+)/g)].map(([, name]) => name);
    const options = [...dockerfile.matchAll(/--security-opt (\S+)/g)].map(([, option]) => option);
    for (const name of ['worker-cpu', 'worker-gpu']) {
      assert.deepEqual(services[name]?.cap_add, capabilities, name);
      assert.deepEqual(services[name]?.security_opt, options, name);
    }
  });

  const plugin = spawnSync('docker', ['compose', 'version']).status === 0;
  test('is what docker compose takes', { skip: !plugin && 'docker has no compose here' }, async () => {
    const env = Object.fromEntries([...example].map(([name, value]) => [name, value || 'secret']));
    for (const profile of [[], ['--profile', 'gpu']]) {
      const argv = ['compose', '--file', join(root, 'docker-compose.yml'), ...profile, 'config', '--quiet'];
      await execute('docker', argv, { env: { ...process.env, ...env } });
    }
  });
});

test('scripts and settings of the services can be read', () => {
  for (const name of readdirSync(join(root, 'deploy'), { recursive: true, encoding: 'utf8' })) {
    const path = join(root, 'deploy', name);
    if (name.endsWith('.sh')) {
      const { status, stderr } = spawnSync('sh', ['-n', path], { encoding: 'utf8' });
      assert.equal(status, 0, stderr);
    }
    if (!name.endsWith('.yml')) continue;
    for (const { errors } of parseAllDocuments(readFileSync(path, 'utf8')))
      assert.deepEqual(errors, [], name);
  }
});

test('Prometheus has the rules that it reads', () => {
  const mounted = services.prometheus?.volumes?.map((volume) => volume.split(':')[1]);
  for (const rules of parse(read('deploy/prometheus.yml')).rule_files)
    assert.ok(mounted?.includes(rules), rules);
});

test('dashboards ask the data source that is provisioned', () => {
  const { datasources } = parse(read('deploy/grafana/provisioning/datasources/prometheus.yml'));
  const { providers } = parse(read('deploy/grafana/provisioning/dashboards/temporal-diffusion.yml'));
  const mounts = services.grafana?.volumes?.map((volume) => volume.split(':')) ?? [];
  const folder = mounts.find(([, target]) => target === providers[0].options.path)?.[0];
  assert.ok(folder !== undefined);
  for (const name of readdirSync(join(root, folder)).filter((name) => name.endsWith('.json'))) {
    const dashboard = read(join(folder, name));
    for (const [, uid = ''] of dashboard.matchAll(/"datasource": \{[^}]*"uid": "([^"]+)"/g)) {
      const isProvisioned = datasources.some((source: { uid: string }) => source.uid === uid);
      // A variable, whose default is the data source that is Grafana's own default.
      const isChosen = uid.slice(1) === '{datasource}' && datasources.some(isDefaultPrometheus);
      assert.ok(isProvisioned || isChosen, `${name}: ${uid}`);
    }
  }
});

const isDefaultPrometheus = ({ type, isDefault }: { type: string; isDefault: boolean }) =>
  type === 'prometheus' && isDefault;

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, delimiter, dirname, join, relative } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import sharp from 'sharp';
import { temporalProgram } from '../bench/server.js';
import { PROGRAMS } from '../src/gpu/programs/places.js';
import { packageRoot } from '../src/package-root.js';
import { scratchFolder } from './support/scratch.js';
import { loadSdk } from './support/temporal.js';

const execute = promisify(execFile);

/** What may be in the package, beside what `compiled` gives. */
const ALLOWED = [
  /^(package\.json|README\.md|CHANGELOG\.md|LICENSE)$/,
  /^dist\/src\/workflow-bundle\.(js|licences\.txt)$/,
  /^dist\/src\/gpu\/programs\/part-[A-Z0-9]+\.js$/,
  /^docs\/[a-z-]+\.md$/,
  /^docs\/pictures\/[a-z-]+\.(svg|webp)$/,
  /^models\/emoji\/(NOTICE|README)\.md$/,
  /^models\/emoji\/(generation|model_index)\.json$/,
  /^models\/emoji\/(scheduler|text_encoder|tokenizer|transformer|vae)\/[a-z_]+\.(json|jinja|safetensors)$/,
  /^tools\/train\/(README\.md|sheet\.webp|sources\.json)$/,
];

const root = packageRoot();
const scratch = scratchFolder();
/** A copy of the sources, as a fresh clone has them. */
const clone = join(scratch, 'clone');
/** Somebody else's project. */
const project = join(scratch, 'shop');
const installed = join(project, 'node_modules', 'temporal-diffusion');

/** Copies without the bytes where the file system allows it. */
async function copy(from: readonly string[], into: string): Promise<void> {
  await execute('cp', ['-al', ...from, into]).catch(() => execute('cp', ['-a', ...from, into]));
}

/** Runs a program in a folder; where it fails, with all that it said. */
async function run(cwd: string, program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  // What `npm test` says of this repository to its children is nothing to the npm that runs there.
  const inherited = Object.entries(process.env).filter(([name]) => !/^(npm_|TEMPORAL_)/i.test(name));
  const options = { cwd, env: { ...Object.fromEntries(inherited), ...env }, maxBuffer: 2 ** 26 };
  return execute(program, args, options).catch((error: Error & { stdout?: string; stderr?: string }) => {
    throw new Error(`${program} ${args.join(' ')}: ${error.message}\n${error.stdout}\n${error.stderr}`);
  });
}

/** The files below a folder. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** What is made of each source; building bundles is over when there is a package. */
function compiled(): string[] {
  const ofSources = filesBelow(join(root, 'src'))
    .filter(
      (name) => !['workflows/build-bundle.ts', 'gpu/programs/build.ts', 'bundled-licences.ts'].includes(name),
    )
    .flatMap((name) => ['.js', '.d.ts'].map((end) => name.replace(/\.ts$/, end)));
  const bundled = [...Object.keys(PROGRAMS).map((name) => `${name}.js`), 'LICENCES.txt'];
  return [...ofSources, ...bundled.map((name) => `gpu/programs/${name}`)].map((name) => `dist/src/${name}`);
}

let files: string[];

before(async () => {
  await mkdir(clone);
  // Compiling all tests would only take time: one line stands in for them below.
  const left = ['.cache', '.git', 'dist', 'out', 'test', 'bench'];
  const names = (await readdir(root)).filter((name) => !left.includes(name));
  await copy(
    names.map((name) => join(root, name)),
    clone,
  );
  await mkdir(join(clone, 'test'));
  await writeFile(join(clone, 'test', 'one.test.ts'), 'export {};\n');
  // As `npm run docs`, and a build of an earlier state, leave something behind.
  await mkdir(join(clone, 'docs', 'api'), { recursive: true });
  await writeFile(join(clone, 'docs', 'api', 'index.md'), '');
  await mkdir(join(clone, 'dist', 'src', 'gone'), { recursive: true });
  await writeFile(join(clone, 'dist', 'src', 'gone', 'gone.js'), '');
  const { stdout } = await run(clone, 'npm', ['pack', '--json', '--pack-destination', scratch]);
  const [packed] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as [
    { filename: string; files: { path: string }[] },
  ];
  files = packed.files.map(({ path }) => path).sort();

  await mkdir(project);
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  await writeFile(
    join(project, 'package.json'),
    JSON.stringify({
      name: 'shop',
      private: true,
      type: 'module',
      devDependencies: { '@types/node': manifest.devDependencies['@types/node'] },
    }),
  );
  // npm keeps what the package depends on, takes away what it does not, and offline could not get anything else.
  await copy([join(root, 'node_modules')], project);
  const quiet = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund'];
  await run(project, 'npm', ['install', ...quiet, join(scratch, packed.filename)]);
});

describe('the package', () => {
  test('holds what is needed and nothing else', () => {
    const expected = compiled();
    assert.deepEqual(
      expected.filter((name) => !files.includes(name)),
      [],
      'these are missing',
    );
    const unexpected = files.filter(
      (name) => !expected.includes(name) && !ALLOWED.some((allowed) => allowed.test(name)),
    );
    assert.deepEqual(unexpected, [], 'these should not be there');
    for (const name of [
      'README.md',
      'CHANGELOG.md',
      'LICENSE',
      'dist/src/workflow-bundle.js',
      'dist/src/workflow-bundle.licences.txt',
    ]) {
      assert.ok(files.includes(name), name);
    }
    for (const name of filesBelow(join(root, 'models'))) assert.ok(files.includes(`models/${name}`), name);
    // A development dependency that ours would need is gone from the project.
    assert.ok(!filesBelow(join(project, 'node_modules', '.bin')).includes('tsc'));
  });

  test('points to no map that is not there, and knows nothing of the machine that built it', async () => {
    for (const name of files.filter((name) => /\.(js|ts|json)$/.test(name))) {
      const text = await readFile(join(installed, name), 'utf8');
      const [, map] = /[#@] sourceMappingURL=(\S+)/.exec(text) ?? [];
      if (map === undefined) continue;
      assert.match(map, /^data:/, name);
      const { sources, sourcesContent } = JSON.parse(
        Buffer.from(map.slice(map.indexOf(',') + 1), 'base64').toString(),
      );
      assert.equal(sourcesContent.length, sources.length, name);
      assert.ok(!JSON.stringify([sources, sourcesContent]).includes(clone), `${name} holds ${clone}`);
    }
  });

  test('says where its data comes from, and under which licences', async () => {
    const notice = await readFile(join(installed, 'models/emoji/NOTICE.md'), 'utf8');
    const sources = JSON.parse(await readFile(join(installed, 'tools/train/sources.json'), 'utf8'));
    const { sharp: _tool, ...data } = sources.dependencies as Record<string, string>;
    for (const [name, version] of Object.entries(data)) {
      const line = notice.split('\n').find((line) => line.startsWith('|') && line.includes(name)) ?? '';
      assert.ok(line.includes(`${name} ${version}`), `${name} ${version}: ${line}`);
      assert.match(line, /\| (MIT|Apache-2\.0|CC-BY-4\.0|Unicode-3\.0) \|/, name);
    }
    for (const text of [
      'Apache License',
      'MIT License',
      'Attribution 4.0 International',
      'UNICODE LICENSE',
    ]) {
      assert.ok(notice.toLowerCase().includes(text.toLowerCase()), text);
    }
    assert.match(await readFile(join(installed, 'models/emoji/README.md'), 'utf8'), /## How it was made/);
  });

  test('is described as what it is', async () => {
    const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
    assert.equal(manifest.type, 'module');
    assert.notEqual(manifest.private, true);
    assert.match(manifest.license, /^[A-Za-z0-9.-]+$/);
    assert.ok(manifest.description.length > 0 && manifest.keywords.length > 0);
    for (const target of Object.values<Record<string, string> | string>(manifest.exports)) {
      if (typeof target === 'string') continue;
      // TypeScript takes the first condition that it knows.
      assert.deepEqual(Object.keys(target), ['types', 'default']);
      for (const file of Object.values(target)) assert.ok(files.includes(file.slice('./'.length)), file);
    }
    for (const file of Object.values<string>(manifest.bin)) {
      assert.ok(files.includes(file), file);
      assert.match(await readFile(join(installed, file), 'utf8'), /^#!\/usr\/bin\/env node\n/);
    }
    // Whoever installs it has no TypeScript to run a script with.
    for (const name of ['preinstall', 'install', 'postinstall']) assert.ok(!(name in manifest.scripts), name);
  });
});

describe('installed into an empty project, it', () => {
  const CONSUMER = fileURLToPath(new URL('../../test/fixtures/consumer', import.meta.url));

  before(async () => {
    await copy(
      (await readdir(CONSUMER)).map((name) => join(CONSUMER, name)),
      project,
    );
    // What the pages for beginners show is type-checked beside it.
    for (const page of ['README.md', 'docs/getting-started.md']) {
      const [, code] = /^```ts\n(.*?)^```$/ms.exec(await readFile(join(root, page), 'utf8')) ?? [];
      assert.ok(code !== undefined, page);
      await writeFile(join(project, `${basename(page, '.md').toLowerCase()}.ts`), code);
    }
  });

  for (const [moduleResolution, module, skipLibCheck] of [
    // Our own declarations are judged once.
    ['node16', 'node16', false],
    ['bundler', 'esnext', true],
  ] as const) {
    test(`has types that resolve under ${moduleResolution}`, async () => {
      const settings = {
        compilerOptions: {
          ...{ module, moduleResolution, target: 'es2022', lib: ['es2022'], types: ['node'] },
          // Only ours are looked at below: those of others are not all free of errors.
          ...{ strict: true, noEmit: true, skipLibCheck },
        },
        include: ['*.ts'],
      };
      const config = join(project, `tsconfig.${moduleResolution}.json`);
      await writeFile(config, JSON.stringify(settings));
      const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
      const { stdout } = await execute(process.execPath, [tsc, '-p', config, '--pretty', 'false'], {
        cwd: project,
      }).catch((error: { stdout: string }) => error);
      const ours = stdout
        .split('\n')
        .filter((line) => line !== '' && !/^(?: |node_modules\/(?!temporal-diffusion\/))/.test(line));
      assert.deepEqual(ours, []);
    });
  }

  test('can be imported, each part of it', async () => {
    const { stdout } = await run(project, process.execPath, ['imports.js']);
    assert.deepEqual(JSON.parse(stdout), {
      'temporal-diffusion': 'DiffusionPlugin,createGpuWorker,openStore',
      'temporal-diffusion/client': 'DiffusionClient,OutOfMemory',
      'temporal-diffusion/contract': 'GenerateRequest,DIFFUSION_QUEUE',
      'temporal-diffusion/tracing': 'traceFields,tracedCalls',
      'temporal-diffusion/workflows': 'generateBatch,generateImage,renderCatalog',
      'a worker of the project': 'generateBatch,generateImage,greet,renderCatalog',
    });
  });

  test('draws a picture with one command', async () => {
    const temporal = await temporalProgram(loadSdk);
    const bin = join(project, 'node_modules', '.bin', 'temporal-diffusion');
    const argv = ['render', 'a red heart', '--seed', '7', '--size', '64x64', '--steps', '1', '--json'];
    const path = [dirname(temporal), process.env.PATH].join(delimiter);
    const { stdout } = await run(project, bin, argv, { PATH: path });
    const [image] = JSON.parse(stdout).images;
    assert.equal(dirname(image.path), join(project, 'out'));
    const { width, height, format } = await sharp(image.path).metadata();
    assert.deepEqual([width, height, format], [64, 64, 'png']);
  });
});

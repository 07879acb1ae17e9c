import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { BATCH_HELP } from '../src/cli/batch.js';
import { CATALOG_HELP } from '../src/cli/catalog.js';
import { DOCTOR_HELP } from '../src/cli/doctor.js';
import { EXPLAIN_HELP } from '../src/cli/explain.js';
import { RENDER_HELP } from '../src/cli/render-arguments.js';
import { REPLAY_HELP } from '../src/cli/replay.js';
import { REPRODUCE_HELP } from '../src/cli/reproduce.js';
import { SCHEDULE_HELP } from '../src/cli/schedule.js';
import { SNAPSHOT_HELP } from '../src/cli/snapshot.js';
import { WORKER_HELP } from '../src/cli/worker.js';
import { packageRoot } from '../src/package-root.js';

const root = packageRoot();

const HELPS = new Map([
  ['batch', BATCH_HELP],
  ['catalog', CATALOG_HELP],
  ['doctor', DOCTOR_HELP],
  ['explain', EXPLAIN_HELP],
  ['render', RENDER_HELP],
  ['replay', REPLAY_HELP],
  ['reproduce', REPRODUCE_HELP],
  ['schedule', SCHEDULE_HELP],
  ['snapshot', SNAPSHOT_HELP],
  ['worker', WORKER_HELP],
]);

const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** All files below the given ones that end so, as paths from the root. */
function filesOf(ends: RegExp, ...places: string[]): string[] {
  return places.flatMap((place) => {
    if (statSync(join(root, place)).isFile()) return [place];
    return readdirSync(join(root, place), { recursive: true, encoding: 'utf8' })
      .filter((name) => ends.test(name) && !/(^|\/)(node_modules|api)\//.test(name))
      .map((name) => join(place, name));
  });
}

const PAGES = filesOf(/\.md$/, 'README.md', 'CHANGELOG.md', 'docs', 'models', 'tools', 'bench');

/** Without what is no text: code may look like a link. */
const textOf = (path: string) =>
  read(path)
    .replace(/^```[\s\S]*?^```$/gm, '')
    .replace(/`[^`\n]*`/g, 'code');

/** The anchors that a page's headings have on GitHub. */
function anchorsOf(path: string): Set<string> {
  const anchors = new Set<string>();
  const headings = read(path)
    .replace(/^```[\s\S]*?^```$/gm, '')
    .matchAll(/^#{1,6} (.+)$/gm);
  for (const [, heading = ''] of headings) {
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const slug = words.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
    let anchor = slug;
    for (let again = 1; anchors.has(anchor); again++) anchor = `${slug}-${again}`;
    anchors.add(anchor);
  }
  return anchors;
}

for (const page of PAGES) {
  test(`links of ${page} lead somewhere`, () => {
    const links = [...textOf(page).matchAll(/\]\(<?([^)>\s]+)>?(?: "[^"]*")?\)|(?:src|srcset)="([^"]+)"/g)];
    for (const link of links.map(([, target, source]) => target ?? source ?? '')) {
      if (/^[a-z]+:/.test(link)) {
        assert.match(link, /^https?:\/\/[^\s]+$/, link);
        continue;
      }
      const [path = '', anchor] = decodeURIComponent(link).split('#');
      const target = path === '' ? page : relative(root, join(root, dirname(page), path));
      assert.ok(existsSync(join(root, target)), `${link}: there is no ${target}`);
      if (anchor !== undefined) assert.ok(anchorsOf(target).has(anchor), `${link}: no such heading`);
    }
  });
}

test('pages that code and settings point to are there', () => {
  const places = filesOf(
    /\.(ts|sh|yml|json|example)$/,
    ...['src', 'test', 'bench', 'tools', 'deploy', 'Dockerfile', 'docker-compose.yml', '.env.example'],
  );
  for (const place of places.filter((place) => !place.startsWith('test/fixtures'))) {
    for (const [name] of read(place).matchAll(/\bdocs\/[a-z-]+\.md\b/g)) {
      assert.ok(existsSync(join(root, name)), `${place}: ${name}`);
    }
  }
});

test('the README leads to every page', () => {
  const readme = read('README.md');
  for (const page of filesOf(/\.md$/, 'docs')) assert.ok(readme.includes(`(${page})`), page);
});

test('commands that pages show are what our own command line takes', () => {
  let seen = 0;
  for (const page of PAGES) {
    const blocks = [...read(page).matchAll(/^```(?:sh|text)\n([\s\S]*?)^```$/gm)].map(
      ([, block = '']) => block,
    );
    const inline = [...read(page).matchAll(/`(temporal-diffusion [^`]+)`/g)].map(
      ([, command = '']) => command,
    );
    for (const text of [...blocks.map((block) => block.replace(/\\\n\s*/g, '')), ...inline]) {
      for (const [, name = '', rest = ''] of text.matchAll(
        /(?:^|\s)temporal-diffusion(?:-gpu)? ([a-z]+)\b([^\n#]*)/gm,
      )) {
        const help = HELPS.get(name);
        if (help === undefined) continue;
        for (const [flag] of rest.matchAll(/(?<=\s)--[a-z][a-z-]*/g)) {
          assert.ok(help.includes(flag), `${page}: temporal-diffusion ${name}${rest}: no ${flag}`);
          seen++;
        }
      }
    }
  }
  assert.ok(seen > 40, `${seen}`);
});

test('the page on performance names every script that measures', () => {
  const page = read('docs/performance.md');
  const scripts = filesOf(/\.ts$/, 'bench').filter((name) =>
    /^\/\*\n[\s\S]*?node dist\/bench/.test(read(name)),
  );
  // What makes parts of a machine, or a picture, measures nothing.
  const tools = ['pack', 'ballast', 'timeline'].map((name) => `bench/gpu/${name}.ts`);
  for (const script of scripts.filter((name) => !tools.includes(name)))
    assert.ok(page.includes(script), script);
});

/**
 * Builds the pictures and captions of the data pack out of npm packages.
 *
 *   node build_pack.mjs SOURCES PACK
 *
 * SOURCES is a folder in which the packages of `sources.json` and sharp are installed (README.md says how).
 * Writes PACK/pack.bin (256 px WebP pictures with alpha, one after the other) and PACK/pack.json
 * (`{size, items}`; captions.py describes an item).
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

const SIZE = 256;
const QUALITY = 80;
const FLAGS = 9;
const PEOPLE = 1;

const [sources, pack] = process.argv.slice(2);
if (!sources || !pack) {
  console.error('usage: node build_pack.mjs SOURCES PACK');
  process.exit(2);
}
const require = createRequire(join(resolve(sources), 'package.json'));
const sharp = require('sharp');

/** Names that people use for a thing and that its emoji's label does not hold. */
const CAPTION_NAMES = JSON.parse(readFileSync(new URL('caption_names.json', import.meta.url), 'utf8'));

/** Of the many "man …" and "woman …" emoji only these: the rest differ in details that 256 px do not show. */
const PEOPLE_KEPT = new Set([
  'man',
  'woman',
  'boy',
  'girl',
  'old man',
  'old woman',
  'man: beard',
  'woman: red hair',
  'pregnant woman',
  'woman with headscarf',
  'woman dancing',
  'man dancing',
  'man in tuxedo',
  'woman with veil',
  'princess',
  'prince',
  'Mrs. Claus',
  'Santa Claus',
  'woman astronaut',
  'man astronaut',
  'woman mage',
  'mermaid',
  'merman',
  'woman cook',
  'man cook',
  'woman farmer',
  'man detective',
  'woman scientist',
  'man firefighter',
  'woman police officer',
]);

const KEYCAPS = {
  0: 'zero',
  1: 'one',
  2: 'two',
  3: 'three',
  4: 'four',
  5: 'five',
  6: 'six',
  7: 'seven',
  8: 'eight',
  9: 'nine',
  10: 'ten',
  '#': 'hash',
  '*': 'asterisk',
};

/** Upper ends of the hue ranges in degrees. */
const HUE_NAMES = [
  [15, 'red'],
  [40, 'orange'],
  [66, 'yellow'],
  [95, 'lime green'],
  [160, 'green'],
  [195, 'teal'],
  [250, 'blue'],
  [290, 'purple'],
  [340, 'pink'],
  [360, 'red'],
];

const annotations = require('cldr-annotations-full/annotations/en/annotations.json').annotations.annotations;
const shortcodes = ['emojibase', 'github'].map((set) => require(`emojibase-data/en/shortcodes/${set}.json`));

/** The code points without the selector that only asks for a coloured glyph: packages differ in it. */
const withoutSelector = (hexcode) => hexcode.toLowerCase().replace(/-fe0f/g, '');

const clean = (text) =>
  text.toLowerCase().replace(/[“”"]/g, '').replace(/’/g, "'").replace(/_/g, ' ').replace(/\s+/g, ' ').trim();

/** An Iconify package: its icons, and which of them shows a given emoji. */
function loadIcons(name) {
  const icons = require(`@iconify-json/${name}/icons.json`);
  const file = `@iconify-json/${name}/chars.json`;
  const byCode = Object.entries(require(file)).map(([code, icon]) => [withoutSelector(code), icon]);
  return { icons, byCode: Object.fromEntries(byCode) };
}

/** The icon as an SVG document, or undefined if the set lacks it. */
function svgOf(set, name) {
  const icon = set.icons[name] ?? set.icons[set.aliases?.[name]?.parent];
  if (!icon) return undefined;
  const width = icon.width || set.width || 16;
  const height = icon.height || set.height || 16;
  const box = `${icon.left || 0} ${icon.top || 0} ${width} ${height}`;
  const spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"';
  const text = `<svg ${spaces} viewBox="${box}" width="${width}" height="${height}">${icon.body}</svg>`;
  return { text, width, height };
}

/** What a caption may call the emoji (the main name first), and looser keywords. */
function namesOf(emoji) {
  const { label, tags = [] } = emoji;
  const country = emoji.group === FLAGS && label.match(/^flag: (.*)$/);
  if (country) {
    const name = clean(country[1]);
    const keywords = tags.filter((tag) => !/flag/i.test(tag));
    return {
      names: [`flag of ${name}`, `the flag of ${name}`, `${name} flag`],
      kw: keywords.slice(0, 3).map(clean),
    };
  }
  const keycap = label.match(/^keycap: (.*)$/);
  if (keycap) {
    const name = KEYCAPS[keycap[1]] ?? keycap[1];
    return { names: [`number ${keycap[1]} key`, `keycap ${name}`, `the number ${name}`], kw: ['keycap'] };
  }
  const main = clean(label.replace(/:/g, ','));
  const names = [main];
  for (const set of shortcodes) {
    for (const code of [set[emoji.hexcode] ?? []].flat()) {
      const name = clean(code);
      const readable = /^[a-z0-9' ,-]+$/.test(name) && / |^[a-z]{3,}$/.test(name) && name.length > 2;
      if (readable && !names.includes(name)) names.push(name);
    }
  }
  for (const name of CAPTION_NAMES[label] ?? []) {
    if (!names.includes(name)) names.unshift(name);
  }
  const annotation = annotations[emoji.emoji.replace(/\uFE0F/g, '')] ?? annotations[emoji.emoji] ?? {};
  const keywords = new Set([...(annotation.default ?? []), ...tags].map(clean));
  const kw = [...keywords].filter(
    (word) => word !== main && /^[a-z' -]+$/.test(word) && word.length > 2 && word.length < 24,
  );
  return { names: names.slice(0, 7), kw: kw.slice(0, 12) };
}

/**
 * The colour that a picture is: the peak of the hues of its saturated, opaque pixels (36 bins, weighted by
 * chroma, smoothed), and how much of the picture it covers.
 * @param pixels RGBA bytes
 */
function dominantColour(pixels) {
  const bins = new Float64Array(36);
  const bin = (index) => bins[(index + 36) % 36];
  let opaque = 0;
  let saturated = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    if (pixels[at + 3] < 200) continue;
    opaque += 1;
    const red = pixels[at];
    const green = pixels[at + 1];
    const blue = pixels[at + 2];
    const largest = Math.max(red, green, blue);
    const chroma = largest - Math.min(red, green, blue);
    if (largest < 50 || chroma < 0.35 * largest) continue;
    const sector =
      largest === red
        ? ((green - blue) / chroma) % 6
        : largest === green
          ? (blue - red) / chroma + 2
          : (red - green) / chroma + 4;
    bins[Math.floor(((sector * 60 + 360) % 360) / 10) % 36] += chroma / 255;
    saturated += 1;
  }
  let total = 0;
  let peak = 0;
  let peakWeight = -1;
  for (let index = 0; index < 36; index += 1) {
    total += bins[index];
    const weight = bins[index] + bin(index + 1) + bin(index - 1) + 0.5 * (bin(index + 2) + bin(index - 2));
    if (weight > peakWeight) {
      peakWeight = weight;
      peak = index;
    }
  }
  let x = 0;
  let y = 0;
  for (let index = peak - 2; index <= peak + 2; index += 1) {
    const angle = ((((index + 36) % 36) * 10 + 5) * Math.PI) / 180;
    x += bin(index) * Math.cos(angle);
    y += bin(index) * Math.sin(angle);
  }
  const hue = ((Math.atan2(y, x) * 180) / Math.PI + 360) % 360;
  return {
    opaque: opaque / (pixels.length / 4),
    saturated: opaque ? saturated / opaque : 0,
    share: total ? peakWeight / total : 0,
    hue: Math.round(hue),
    name: total ? HUE_NAMES.find(([end]) => hue <= end)[1] : null,
  };
}

/** RGBA bytes of a picture on a transparent square of SIZE. */
async function render(picture) {
  const input = picture.text ? await rasterize(picture) : picture;
  return sharp(input)
    .ensureAlpha()
    .resize(SIZE, SIZE, {
      fit: 'contain',
      background: { r: 0, g: 0, b: 0, alpha: 0 },
      kernel: 'lanczos3',
    })
    .raw()
    .toBuffer();
}

function rasterize({ text, width, height }) {
  const density = Math.min(2400, (72 * SIZE) / Math.max(width, height));
  return sharp(Buffer.from(text), { density }).png().toBuffer();
}

/** The pictures of one emoji, as [style, picture]. */
function* picturesOf(emoji) {
  const code = withoutSelector(emoji.hexcode);
  const isCountry = emoji.group === FLAGS && /^flag: /.test(emoji.label) && [...emoji.emoji].length === 2;
  if (isCountry) {
    const letters = [...emoji.emoji].map((letter) =>
      String.fromCharCode(letter.codePointAt(0) - 0x1f1e6 + 97),
    );
    const country = letters.join('');
    yield ['flag', svgOf(flags, `${country}-4x3`)];
    yield ['circle flag', svgOf(circleFlags, country)];
    yield ['twemoji', svgOf(emojiSets.twemoji.icons, emojiSets.twemoji.byCode[code])];
    return;
  }
  for (const [style, set] of Object.entries(emojiSets)) {
    yield [style, svgOf(set.icons, set.byCode[code])];
  }
  const file = renders.get(code);
  yield ['3d', file && readFileSync(join(renderFolder, file))];
}

function isWanted(emoji) {
  const { label, group } = emoji;
  if (group === undefined) return false;
  if (group === PEOPLE && /\b(man|woman|men|women)\b/.test(label) && !PEOPLE_KEPT.has(label)) return false;
  return !/^(couple with heart|kiss|family): /.test(label);
}

const emojiSets = {
  noto: loadIcons('noto'),
  twemoji: loadIcons('twemoji'),
  flat: loadIcons('fluent-emoji-flat'),
};
const flags = require('@iconify-json/flag/icons.json');
const circleFlags = require('@iconify-json/circle-flags/icons.json');
const renderFolder = join(dirname(require.resolve('@lobehub/fluent-emoji-3d/package.json')), 'assets');
const renders = new Map(
  readdirSync(renderFolder).map((file) => [withoutSelector(file.replace('.webp', '')), file]),
);

if (!existsSync(pack)) mkdirSync(pack, { recursive: true });
const file = openSync(join(pack, 'pack.bin'), 'w');
const items = [];
const counts = {};
let offset = 0;
for (const emoji of require('emojibase-data/en/data.json').filter(isWanted)) {
  const meta = { label: emoji.label, hex: withoutSelector(emoji.hexcode), g: emoji.group, ...namesOf(emoji) };
  for (const [style, picture] of picturesOf(emoji)) {
    if (!picture) continue;
    const pixels = await render(picture);
    const { name, hue, share, saturated, opaque } = dominantColour(pixels);
    if (opaque < 0.02) continue;
    const encoded = await sharp(pixels, { raw: { width: SIZE, height: SIZE, channels: 4 } })
      .webp({ quality: QUALITY, alphaQuality: 90, effort: 4, smartSubsample: true })
      .toBuffer();
    writeSync(file, encoded);
    const dom = { c: name, h: hue, share: +share.toFixed(2), sat: +saturated.toFixed(2) };
    items.push({ o: offset, n: encoded.length, s: style, ...meta, dom });
    offset += encoded.length;
    counts[style] = (counts[style] ?? 0) + 1;
  }
}
closeSync(file);
writeFileSync(join(pack, 'pack.json'), JSON.stringify({ size: SIZE, items }));
console.log(`${items.length} pictures, ${(offset / 1e6).toFixed(1)} MB`, counts);

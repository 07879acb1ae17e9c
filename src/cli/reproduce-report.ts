import type { PixelDifference, ReproducedPicture, Reproduction } from '../contract/reproduction.js';

/** What came of drawing pictures again, for people. */
export function describeReproduction({ pictures }: Reproduction): string {
  return `${pictures.flatMap(pictureLines).join('\n')}\n`;
}

function pictureLines(picture: ReproducedPicture): string[] {
  const { source, prompt, seed, verdict, pixels, difference, conditions, notes } = picture;
  const mark = verdict === 'identical' ? '✔ identical' : '✖ different';
  const others = conditions.filter(({ same }) => same === false);
  const unknown = conditions.filter(({ recorded }) => recorded === undefined).map(({ name }) => name);
  return [
    `${mark}: ${source}`,
    `  ${prompt} · seed ${seed}`,
    ...(pixels.same
      ? []
      : [`  pixels drawn here ${short(pixels.drawn)}, recorded ${short(pixels.recorded)}`]),
    ...(difference && difference.maxLevels > 0 ? [`  ${describeDifference(difference)}`] : []),
    ...notes.map((note) => `  ${note}`),
    ...(others.length === 0
      ? [`  the same here: ${conditions.flatMap(({ name, same }) => (same ? name : [])).join(', ')}`]
      : others.map(
          ({ name, recorded = '', here }) =>
            `  another ${name}: ${short(recorded)} then, ${short(here)} here`,
        )),
    ...(unknown.length > 0 ? [`  not recorded: ${unknown.join(', ')}`] : []),
  ];
}

function describeDifference({ maxLevels, meanLevels, psnr, differing }: PixelDifference): string {
  const share = `${(differing * 100).toFixed(differing < 0.01 ? 2 : 0)}% of the pixels`;
  const ratio = psnr === undefined ? '' : ` · PSNR ${psnr.toFixed(1)} dB`;
  return `${share} differ, by ${maxLevels} of 255 levels at most, ${meanLevels.toPrecision(2)} in the mean${ratio}`;
}

/** Digests are known by their first digits. */
function short(text: string): string {
  return /^[0-9a-f]{64}$/.test(text) ? text.slice(0, 12) : text;
}

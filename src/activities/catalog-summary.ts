import type { Logger } from 'pino';
import sharp from 'sharp';
import { CatalogSummary, type FinishInput, type ShapeCost } from '../contract/catalog.js';
import { type Neighbourhood, openStoreOf } from '../storage/open-store.js';
import { listShards, readShard } from './catalog-results.js';

/** Pictures on a contact sheet: 8 in a row, 6 rows. */
const ACROSS = 8;
const DOWN = 6;
/** Pixels that each of them has there, on the longer side. */
const THUMBNAIL = 160;
/** Of 0 to 6: 4, the default, takes more than twice as long for 2% less. */
const SHEET_EFFORT = 2;

/** Writes what a run came to beside its catalogue, or for a dry run only says what it would. */
export async function finishedSummary(
  place: Neighbourhood,
  ended: FinishInput,
  beat: (details: unknown) => void,
  log: Logger,
): Promise<CatalogSummary> {
  const { store, name } = place;
  const before = await lastSummary(place);
  if (ended.status === 'dry-run') return estimated(ended, before);
  // Nothing that was drawn before may make the next estimate worse.
  const summary = { ...ended, costs: withOlder(ended.costs, before?.costs ?? []) };
  const sheet = await contactSheet(place, beat, log);
  const url = sheet && (await store.put(`${name}.sheet.webp`, sheet, { contentType: 'image/webp' }));
  const whole: CatalogSummary = { ...summary, ...(url !== undefined && { sheet: url }) };
  const bytes = Buffer.from(`${JSON.stringify(whole, null, 2)}\n`);
  await store.put(`${name}.summary.json`, bytes, { contentType: 'application/json' });
  return whole;
}

/** @returns undefined where there is none that can be read: it is of use, not of need */
async function lastSummary({ store, name }: Neighbourhood): Promise<CatalogSummary | undefined> {
  try {
    return CatalogSummary.parse(JSON.parse((await store.get(`${name}.summary.json`)).toString('utf8')));
  } catch {
    return undefined;
  }
}

function withOlder(costs: readonly ShapeCost[], older: readonly ShapeCost[]): ShapeCost[] {
  const keyOf = ({ images: _, gpuMs: __, ...shape }: ShapeCost) => JSON.stringify(shape);
  return [...new Map([...older, ...costs].map((cost) => [keyOf(cost), cost])).values()];
}

/** How long the images of a dry run would take: their GPU time, stretched as the last run's was. */
function estimated(ended: FinishInput, before: CatalogSummary | undefined): CatalogSummary {
  const measured = before?.costs.filter(({ images, gpuMs }) => images > 0 && gpuMs > 0) ?? [];
  if (!before || measured.length === 0) return ended;
  const gpuSeconds =
    ended.costs.reduce((sum, cost) => sum + cost.images * gpuMsAnImage(cost, measured), 0) / 1000;
  const stretch = before.gpuSeconds > 0 ? Math.max(before.seconds / before.gpuSeconds, 0.001) : 1;
  return { ...ended, gpuSeconds, estimatedSeconds: Math.round(gpuSeconds * stretch * 10) / 10 };
}

/** What one of this shape has cost; where none was drawn yet, what others have by their pixels and steps. */
function gpuMsAnImage(shape: ShapeCost, measured: readonly ShapeCost[]): number {
  const workOf = ({ width, height, steps }: ShapeCost) => width * height * steps;
  const same = measured.find(
    ({ model, width, height, steps }) =>
      model === shape.model && width === shape.width && height === shape.height && steps === shape.steps,
  );
  if (same) return same.gpuMs / same.images;
  const gpuMs = measured.reduce((sum, cost) => sum + cost.gpuMs, 0);
  const work = measured.reduce((sum, cost) => sum + cost.images * workOf(cost), 0);
  return (gpuMs / work) * workOf(shape);
}

/** A picture of up to 48 of the pictures, from all over the catalogue. @returns undefined where there are none */
async function contactSheet(
  place: Neighbourhood,
  beat: (details: unknown) => void,
  log: Logger,
): Promise<Buffer | undefined> {
  const shards = await listShards(place);
  const wanted = ACROSS * DOWN;
  const chosen = spread(shards, wanted);
  const each = Math.ceil(wanted / Math.max(1, chosen.length));
  const thumbnails: Buffer[] = [];
  for (const key of chosen) {
    beat(thumbnails.length);
    const done = (await readShard(place.store, key)).flatMap((line) =>
      line.status === 'done' ? line.images.slice(0, 1) : [],
    );
    const some = spread(done, Math.min(each, wanted - thumbnails.length));
    const made = await Promise.all(
      some.map(({ url }) =>
        thumbnailOf(url).catch((error: unknown) => {
          log.warn({ err: error, url }, 'picture is missing from the contact sheet');
        }),
      ),
    );
    for (const thumbnail of made) if (thumbnail) thumbnails.push(thumbnail);
  }
  if (thumbnails.length === 0) return undefined;
  const across = Math.min(ACROSS, thumbnails.length);
  const down = Math.ceil(thumbnails.length / across);
  const [width, height] = [across * THUMBNAIL, down * THUMBNAIL];
  // Rows are copied, not composited: a catalogue's end waits for this, and libvips' blending takes twice as long.
  const sheet = Buffer.alloc(width * height * 3, 255);
  for (const [number, thumbnail] of thumbnails.entries()) {
    const corner = (Math.floor(number / across) * width + (number % across)) * THUMBNAIL * 3;
    for (let row = 0; row < THUMBNAIL; row++) {
      thumbnail.copy(sheet, corner + row * width * 3, row * THUMBNAIL * 3, (row + 1) * THUMBNAIL * 3);
    }
  }
  return sharp(sheet, { raw: { width, height, channels: 3 } })
    .webp({ quality: 80, effort: SHEET_EFFORT })
    .toBuffer();
}

/** Raw RGB, as the sheet takes it: nobody else reads it. */
async function thumbnailOf(url: string): Promise<Buffer> {
  return sharp(await openStoreOf(url).get(url))
    .resize({ width: THUMBNAIL, height: THUMBNAIL, fit: 'contain', background: '#ffffff' })
    .toColourspace('srgb')
    .removeAlpha()
    .raw()
    .toBuffer();
}

/** Some of these, evenly. */
function spread<T>(items: readonly T[], most: number): T[] {
  if (items.length <= most) return [...items];
  return Array.from({ length: most }, (_, nth) => items[Math.floor((nth * items.length) / most)] as T);
}

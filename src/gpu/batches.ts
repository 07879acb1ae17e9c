import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { OutOfMemory } from '../contract/errors.js';
import { writeAtomically } from '../storage/atomic-write.js';
import { imagesThatFit } from './engine/batch-memory.js';
import type { EngineHost, RenderedImage, RenderOptions } from './host.js';

const Remembered = z.record(z.string(), z.int().positive());

/** The largest batches that are known to fit, by model, size and device; remembered on disk. */
export interface BatchCeilings {
  /** @returns undefined where nothing is known: any batch may fit */
  of(shape: BatchShape): Promise<number | undefined>;
  /** Notes that more than this did not fit. */
  lower(shape: BatchShape, ceiling: number): Promise<void>;
}

export interface BatchShape {
  readonly modelDigest: string;
  readonly device: string;
  readonly width: number;
  readonly height: number;
}

/** @param file JSON; it need not exist */
export function createBatchCeilings(file: string): BatchCeilings {
  const read = async (): Promise<z.output<typeof Remembered>> => {
    try {
      return Remembered.parse(JSON.parse(await readFile(file, 'utf8')));
    } catch {
      return {};
    }
  };
  const keyOf = ({ modelDigest, device, width, height }: BatchShape) =>
    `${modelDigest.slice(0, 16)} ${device} ${width}x${height}`;
  return {
    async of(shape) {
      return (await read())[keyOf(shape)];
    },
    async lower(shape, ceiling) {
      const key = keyOf(shape);
      const remembered = await read();
      const known = remembered[key] ?? Number.POSITIVE_INFINITY;
      await mkdir(dirname(file), { recursive: true });
      const changed = { ...remembered, [key]: Math.min(known, ceiling) };
      await writeAtomically(file, Buffer.from(JSON.stringify(changed, null, 1)), { durable: false });
    },
  };
}

export interface BatchDependencies {
  readonly host: EngineHost;
  readonly ceilings: BatchCeilings;
  readonly log: Logger;
}

/** An image, and how many were drawn at once with it, itself among them. */
export interface BatchedImage extends RenderedImage {
  readonly together: number;
}

/**
 * Draws any number of items of one size in batches that fit: the first as large as it is asked for, as is known to fit
 * and as the device's free memory lets one expect. A batch that does not fit is halved, as often as it takes; what is
 * drawn already is kept, and the next call begins with what was learned.
 * @throws OutOfMemory where even one image does not fit; all that `host.render` throws
 */
export async function renderInBatches(
  { host, ceilings, log }: BatchDependencies,
  options: RenderOptions,
): Promise<BatchedImage[]> {
  const [first] = options.items;
  if (!first) return [];
  const { model, device, batchMemory } = await host.ready();
  const { width, height } = first;
  const shape = { modelDigest: model.digest, device, width, height };
  let limit = Math.min(
    options.items.length,
    (await ceilings.of(shape)) ?? Number.POSITIVE_INFINITY,
    batchMemory ? imagesThatFit(batchMemory, { width, height, unit: model.unit }) : Number.POSITIVE_INFINITY,
  );
  const images: BatchedImage[] = [];
  while (images.length < options.items.length) {
    const items = options.items.slice(images.length, images.length + limit);
    try {
      const drawn = await host.render({ ...options, items });
      images.push(...drawn.map((image) => ({ ...image, together: items.length })));
    } catch (error) {
      if (!(error instanceof OutOfMemory) || items.length === 1) throw error;
      limit = items.length >> 1;
      await ceilings.lower(shape, limit);
      log.warn({ ...shape, tried: items.length, next: limit }, 'batch halved: it did not fit into memory');
    }
  }
  return images;
}

import { setTimeout } from 'node:timers/promises';
import { OutOfMemory } from '../../contract/errors.js';
import {
  floatTensor,
  type HeldTensor,
  readOutput,
  releaseAll,
  type Session,
  type Tensor,
} from '../runtime/session.js';
import { blendTiles, cutOut, tileSizes } from './tiles.js';

export interface LatentShape {
  readonly batch: number;
  /** Rows and columns of tokens. */
  readonly rows: number;
  readonly columns: number;
  /** Values a token. */
  readonly channels: number;
  /** Pixels that a token is wide and high. */
  readonly unit: number;
  /** Whether what does not fit is decoded in parts. */
  readonly inParts: boolean;
  /** Of all images together, that the decoder takes at a time: see `mostPixels`. */
  readonly mostPixels: number;
}

/** What one decoder has learned. */
export interface DecodeMemory {
  /** Pixels of the smallest image that had no room even after a while. */
  roomless: number;
}

export interface DecodeOptions {
  readonly memory?: DecodeMemory;
  /**
   * Milliseconds before each further try at an image that has no room: memory of a process that was killed comes back
   * in a moment, and tiles are another picture. Default: half a second in three parts
   */
  readonly pausesMs?: readonly number[];
  readonly signal?: AbortSignal;
}

const PAUSES_MS = [100, 200, 200];

/** Kernels count a tensor's elements in 32 bits. */
const MOST_ELEMENTS = 2 ** 31 - 1;

/**
 * Pixels that a decoder can take at a time, however much memory there is.
 * @param channels of its blocks, the last one's first: the largest tensor is that of the block before, in the picture's size
 */
export function mostPixels(channels: readonly number[]): number {
  return Math.floor(MOST_ELEMENTS / Math.max(...channels.slice(0, 2)));
}

/** How many images of a batch the decoder is given at a time: all, one, or none where not even one can be taken whole. */
export function imagesAtATime(
  shape: Pick<LatentShape, 'batch' | 'rows' | 'columns' | 'unit' | 'mostPixels'>,
): number {
  const { batch } = shape;
  return [batch, 1].find((images) => !tooManyPixels(shape, { ...shape, batch: images })) ?? 0;
}

export interface Decoded {
  /** Of all images, one after the other: 8-bit RGB, rows from the top. */
  readonly pixels: Uint8Array;
  /** Places of images that were decoded in tiles: not to the bit what one piece would have been. */
  readonly inTiles: ReadonlySet<number>;
}

/**
 * Packed latents to pixels, 8-bit RGB. Where the batch is too much for the decoder, its images are decoded one by one;
 * where an image is, for a while, in overlapping tiles, the largest that fit.
 * @param latents [B, rows × columns, channels]
 * @throws OutOfMemory where not even the smallest tile fits; the signal's reason
 */
export async function decodeLatents(
  decoder: Session,
  latents: HeldTensor,
  shape: LatentShape,
  { memory = { roomless: Number.POSITIVE_INFINITY }, pausesMs = PAUSES_MS, signal }: DecodeOptions = {},
): Promise<Decoded> {
  const { batch, rows, columns, channels, unit, inParts } = shape;
  const tooMany = tooManyPixels(shape, { batch, rows, columns });
  const decodeWhole = async () => {
    const whole = latents.reshaped([batch, rows, columns, channels]);
    return orTooLittleMemory(decodePixels(decoder, whole)).finally(() => whole.release());
  };
  const decoded = tooMany ?? (await decodeWhole());
  if (!(decoded instanceof OutOfMemory)) return { pixels: decoded, inTiles: new Set() };
  if (!inParts && !tooMany) throw decoded;

  const { data } = await readOutput({ latents }, 'latents', 'float32');
  const imageLength = rows * columns * channels;
  const imageBytes = rows * columns * unit * unit * 3;
  const images = new Uint8Array(batch * imageBytes);
  const inTiles = new Set<number>();
  for (let index = 0; index < batch; index++) {
    const image = data.subarray(index * imageLength, (index + 1) * imageLength);
    const alone = floatTensor(image, [1, rows, columns, channels]);
    const isTooMuch = tooManyPixels(shape, { batch: 1, rows, columns });
    const tryIt = () => orTooLittleMemory(decodePixels(decoder, alone));
    // Of a batch of one, the whole image has just been tried.
    let pixels = batch === 1 ? decoded : (isTooMuch ?? (await tryIt()));
    const size = rows * columns * unit * unit;
    if (pixels instanceof OutOfMemory && inParts && !isTooMuch && size < memory.roomless) {
      pixels = await afterPauses(pixels, tryIt, pausesMs, signal);
      if (pixels instanceof OutOfMemory) memory.roomless = size;
    }
    if (pixels instanceof OutOfMemory) inTiles.add(index);
    images.set(
      pixels instanceof OutOfMemory ? await decodeInTiles(decoder, image, shape, pixels) : pixels,
      index * imageBytes,
    );
  }
  return { pixels: images, inTiles };
}

async function afterPauses(
  first: OutOfMemory,
  tryIt: () => Promise<Uint8Array | OutOfMemory>,
  pausesMs: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Uint8Array | OutOfMemory> {
  let last: Uint8Array | OutOfMemory = first;
  for (const pause of pausesMs) {
    await setTimeout(pause, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
    last = await tryIt();
    if (!(last instanceof OutOfMemory)) break;
  }
  return last;
}

async function decodeInTiles(
  decoder: Session,
  image: Float32Array,
  shape: LatentShape,
  tooLarge: OutOfMemory,
): Promise<Uint8Array> {
  const { rows, columns, channels, unit } = shape;
  let last = tooLarge;
  for (const size of tileSizes(rows, columns)) {
    if (tooManyPixels(shape, { batch: 1, rows: size, columns: size })) continue;
    const decoded = await orTooLittleMemory(
      blendTiles({ rows, columns, unit, size }, async (tile) => {
        const part = cutOut(image, columns, channels, tile);
        return decodeImage(decoder, floatTensor(part, [1, tile.rows, tile.columns, channels]));
      }),
    );
    if (!(decoded instanceof OutOfMemory)) return decoded;
    last = decoded;
  }
  throw last;
}

/** @returns undefined where the decoder can take so many */
function tooManyPixels(
  { unit, mostPixels }: Pick<LatentShape, 'unit' | 'mostPixels'>,
  { batch, rows, columns }: Pick<LatentShape, 'batch' | 'rows' | 'columns'>,
): OutOfMemory | undefined {
  const pixels = batch * rows * columns * unit * unit;
  if (pixels <= mostPixels) return undefined;
  return new OutOfMemory(`the decoder takes at most ${mostPixels} pixels at a time, got ${pixels}`);
}

async function decode<T>(
  decoder: Session,
  latents: Tensor | HeldTensor,
  read: (outputs: Readonly<Record<string, HeldTensor>>) => Promise<{ readonly data: T }>,
): Promise<T> {
  const outputs = await decoder.run({ latents });
  try {
    return (await read(outputs)).data;
  } finally {
    releaseAll(outputs);
  }
}

function decodePixels(decoder: Session, latents: Tensor | HeldTensor): Promise<Uint8Array> {
  return decode(decoder, latents, (outputs) => readOutput(outputs, 'pixels', 'uint8'));
}

function decodeImage(decoder: Session, latents: Tensor): Promise<Float32Array> {
  return decode(decoder, latents, (outputs) => readOutput(outputs, 'image', 'float32'));
}

/** What `work` makes, or the error that it had too little memory for it. */
async function orTooLittleMemory<T>(work: Promise<T>): Promise<T | OutOfMemory> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof OutOfMemory) return error;
    throw error;
  }
}

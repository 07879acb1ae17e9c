/** A part of a picture, in tokens. */
export interface Tile {
  readonly row: number;
  readonly column: number;
  readonly rows: number;
  readonly columns: number;
}

export interface TileGrid {
  /** The picture's rows and columns of tokens. */
  readonly rows: number;
  readonly columns: number;
  /** Pixels that a token is wide and high. */
  readonly unit: number;
  /** Rows and columns of a tile, a multiple of `SIZE_STEP`; those at the right and lower edges are cut off. */
  readonly size: number;
}

/** A quarter of a tile overlaps the next one, and the overlap is of whole tokens. */
const SIZE_STEP = 4;
const CHANNELS = 3;

/** Sizes to try for a picture that is too large: half of it, a quarter, and so on. */
export function tileSizes(rows: number, columns: number): number[] {
  const sizes: number[] = [];
  const halfOf = (side: number) => Math.floor(side / 2 / SIZE_STEP) * SIZE_STEP;
  for (let size = halfOf(Math.max(rows, columns)); size > 0; size = halfOf(size)) sizes.push(size);
  return sizes;
}

/** The values of a tile, [tile.rows, tile.columns, channels], out of a picture's of `columns` columns. */
export function cutOut(values: Float32Array, columns: number, channels: number, tile: Tile): Float32Array {
  const length = tile.columns * channels;
  const part = new Float32Array(tile.rows * length);
  for (let row = 0; row < tile.rows; row++) {
    const from = ((tile.row + row) * columns + tile.column) * channels;
    part.set(values.subarray(from, from + length), row * length);
  }
  return part;
}

/**
 * Decodes a picture in tiles that overlap by a quarter and are blended there, linearly, before their values become
 * levels: what diffusers' `AutoencoderKLFlux2.tiled_decode` makes with the same tiles. At most two rows of tiles are
 * kept at a time.
 * @param decode the pixels of one tile, −1…1, [height, width, 3]
 * @returns 8-bit RGB, rows from the top
 */
export async function blendTiles(
  { rows, columns, unit, size }: TileGrid,
  decode: (tile: Tile) => Promise<Float32Array>,
): Promise<Uint8Array> {
  const step = (size / SIZE_STEP) * (SIZE_STEP - 1);
  const overlap = (size - step) * unit;
  const pixels = new Uint8ClampedArray(rows * unit * columns * unit * CHANNELS);
  let above: Decoded[] = [];
  for (let row = 0; row < rows; row += step) {
    const current: Decoded[] = [];
    for (let column = 0; column < columns; column += step) {
      const tile = {
        row,
        column,
        rows: Math.min(size, rows - row),
        columns: Math.min(size, columns - column),
      };
      const decoded = { values: await decode(tile), height: tile.rows * unit, width: tile.columns * unit };
      // The neighbours have been blended with theirs already, as in diffusers.
      const upper = above[current.length];
      const left = current.at(-1);
      if (upper) blendDown(upper, decoded, overlap);
      if (left) blendRight(left, decoded, overlap);
      const place = { top: row * unit, left: column * unit, width: columns * unit };
      draw(pixels, decoded, place, step * unit);
      current.push(decoded);
    }
    above = current;
  }
  return new Uint8Array(pixels.buffer);
}

interface Decoded {
  readonly values: Float32Array;
  readonly height: number;
  readonly width: number;
}

/** Fades the upper rows of `tile` in over the lowest of the tile above it. */
function blendDown(above: Decoded, tile: Decoded, overlap: number): void {
  const extent = Math.min(above.height, tile.height, overlap);
  for (let y = 0; y < extent; y++) {
    blend(above, above.height - extent + y, 0, tile, y, 0, tile.width, y / extent);
  }
}

/** Fades the left columns of `tile` in over the rightmost of the tile before it. */
function blendRight(before: Decoded, tile: Decoded, overlap: number): void {
  const extent = Math.min(before.width, tile.width, overlap);
  for (let y = 0; y < tile.height; y++) {
    for (let x = 0; x < extent; x++) {
      blend(before, y, before.width - extent + x, tile, y, x, 1, x / extent);
    }
  }
}

/** Mixes `count` pixels of a row of `from` into `into`, which weighs `weight`. */
function blend(
  from: Decoded,
  fromY: number,
  fromX: number,
  into: Decoded,
  y: number,
  x: number,
  count: number,
  weight: number,
): void {
  const source = (fromY * from.width + fromX) * CHANNELS;
  const target = (y * into.width + x) * CHANNELS;
  for (let index = 0; index < count * CHANNELS; index++) {
    const old = from.values[source + index] as number;
    into.values[target + index] = old * (1 - weight) + (into.values[target + index] as number) * weight;
  }
}

/** Puts the part of a tile that its right and lower neighbours do not draw into the picture. */
function draw(
  pixels: Uint8ClampedArray,
  { values, height, width }: Decoded,
  place: { readonly top: number; readonly left: number; readonly width: number },
  limit: number,
): void {
  const length = Math.min(limit, width) * CHANNELS;
  for (let y = 0; y < Math.min(limit, height); y++) {
    const source = y * width * CHANNELS;
    const target = ((place.top + y) * place.width + place.left) * CHANNELS;
    for (let index = 0; index < length; index++) {
      // Clamped, halves to even.
      pixels[target + index] = ((values[source + index] as number) * 0.5 + 0.5) * 255;
    }
  }
}

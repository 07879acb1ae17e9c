import type { PixelDifference } from '../contract/reproduction.js';

/**
 * How far two pictures of the same size are apart.
 * @param channels bytes of a pixel
 */
export function pixelDifference(a: Uint8Array, b: Uint8Array, channels = 3): PixelDifference {
  if (a.length !== b.length) throw new RangeError(`expected ${a.length} bytes of pixels, got ${b.length}`);
  let [maxLevels, sum, squares, differing] = [0, 0, 0, 0];
  for (let pixel = 0; pixel < a.length; pixel += channels) {
    let differs = false;
    for (let at = pixel; at < pixel + channels; at++) {
      const distance = Math.abs((a[at] as number) - (b[at] as number));
      if (distance === 0) continue;
      differs = true;
      maxLevels = Math.max(maxLevels, distance);
      sum += distance;
      squares += distance * distance;
    }
    if (differs) differing++;
  }
  return {
    maxLevels,
    meanLevels: sum / a.length,
    ...(squares > 0 && { psnr: 10 * Math.log10((255 * 255 * a.length) / squares) }),
    differing: differing / (a.length / channels),
  };
}

import sharp from 'sharp';
import type { ImageFormat, OutputOptions } from '../contract/request.js';

/** Raw pixels: 8-bit RGB, rows from the top, no padding. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Where a request leaves quality out: no visible difference to the lossless picture, at a fraction of its size. */
const defaultQuality = { jpeg: 90, webp: 90, avif: 65 } as const;

/** @returns undefined where it has no meaning */
export function qualityOf({ format, quality }: OutputOptions): number | undefined {
  return format === 'png' ? undefined : (quality ?? defaultQuality[format]);
}

const contentTypes: Readonly<Record<ImageFormat, string>> = {
  png: 'image/png',
  jpeg: 'image/jpeg',
  webp: 'image/webp',
  avif: 'image/avif',
};

export function contentType(format: ImageFormat): string {
  return contentTypes[format];
}

/**
 * Makes a picture file of raw pixels. The same pixels, options and metadata give the same bytes.
 * @param xmp metadata packet that becomes part of the file
 */
export function encodePicture(
  { data, width, height }: Pixels,
  output: OutputOptions,
  xmp: string,
): Promise<Buffer> {
  const picture = sharp(data, { raw: { width, height, channels: 3 } }).withXmp(xmp);
  const quality = qualityOf(output) ?? 100;
  switch (output.format) {
    case 'png':
      return picture.png().toBuffer();
    case 'jpeg':
      // Full chroma: flat colours with hard edges, which diffusion models like to draw, bleed without it.
      return picture.jpeg({ quality, chromaSubsampling: '4:4:4' }).toBuffer();
    case 'webp':
      return picture.webp({ quality }).toBuffer();
    case 'avif':
      return picture.avif({ quality }).toBuffer();
  }
}

import type { ImageFormat } from '../contract/request.js';

interface Picture {
  readonly prompt: string;
  readonly seed: number;
  /** SHA-256 of the stored file, in hex. */
  readonly sha256: string;
  readonly format: ImageFormat;
}

const extensions: Readonly<Record<ImageFormat, string>> = {
  png: 'png',
  jpeg: 'jpg',
  webp: 'webp',
  avif: 'avif',
};

/** Where a picture lies for machines: under its content's digest, so that storing it twice is storing it once. */
export function blobKey({ sha256, format }: Picture): string {
  return `blobs/${sha256}.${extensions[format]}`;
}

/** The name under which people find it: what it shows, its seed, and enough of its digest to tell it from others. */
export function readableName({ prompt, seed, sha256, format }: Picture): string {
  return `${slug(prompt)}-${seed}-${sha256.slice(0, 8)}.${extensions[format]}`;
}

/** Letters and digits of any script, Latin ones without accents, joined by hyphens; at most 40, which fits every file system. */
function slug(prompt: string): string {
  const words = prompt
    .normalize('NFKD')
    .replace(/[\u0300-\u036f]/g, '')
    .normalize('NFC')
    .toLowerCase()
    .match(/[\p{L}\p{M}\p{N}]+/gu);
  const letters = [...(words ?? []).join('-')].slice(0, 40).join('');
  return letters.replace(/-$/, '') || 'image';
}

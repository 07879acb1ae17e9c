import { readFileSync } from 'node:fs';

/**
 * The option of `prlimit` that leaves an engine so many bytes of data. What V8 reserves for its code, half a gigabyte
 * from Node 24 on, counts for the kernel though hardly any of it is ever used, and so comes on top.
 */
export function dataLimit(bytes: number): string {
  return `--data=${bytes + reservedForCode()}`;
}

/** Of this process, which the same Node runs: the largest piece of memory that code may be written to. */
function reservedForCode(): number {
  let largest = 0;
  for (const [, from = '', to = ''] of readFileSync('/proc/self/maps', 'utf8').matchAll(WRITABLE_CODE)) {
    largest = Math.max(largest, Number.parseInt(to, 16) - Number.parseInt(from, 16));
  }
  return largest;
}

const WRITABLE_CODE = /^([0-9a-f]+)-([0-9a-f]+) rwxp /gm;

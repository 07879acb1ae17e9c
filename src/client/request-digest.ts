import { createHash } from 'node:crypto';
import type { BatchRequest } from '../contract/batch.js';
import type { CatalogRequest } from '../contract/catalog.js';
import type { GenerateRequest } from '../contract/request.js';

/**
 * Tells two requests with the same idempotency key apart. Taken before a seed is drawn: a caller who left it out and
 * asks again means the same job.
 */
export function requestDigest(request: GenerateRequest | BatchRequest | CatalogRequest): string {
  return createHash('sha256').update(canonicalJson(request)).digest('hex');
}

/** JSON with sorted keys, so that the order in which a caller wrote them does not matter. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

import { basename, dirname, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BlobStore } from './blob-store.js';
import { createFolderStore } from './folder-store.js';
import { parseS3Address, withoutSecrets } from './s3-address.js';
import { createS3Store } from './s3-store.js';

const EXPECTED = 'Expected a folder, a file: URL or an s3: URL for the store';

/**
 * Opens the store that an address names.
 * @param address a folder's path, a `file:` URL, or `s3://BUCKET/PREFIX?endpoint=URL&region=NAME&path-style=true`
 * @throws TypeError where no kind of store has such addresses
 */
export function openStore(address: string): BlobStore {
  if (address === '') throw new TypeError(`${EXPECTED} but received an empty text`);
  switch (schemeOf(address)) {
    case undefined:
      return createFolderStore(address);
    case 'file':
      return createFolderStore(fileURLToPath(address));
    case 's3':
      return createS3Store(parseS3Address(address));
    default:
      throw new TypeError(`${EXPECTED} but received ${withoutSecrets(address)}`);
  }
}

/**
 * Opens the store that a blob's address came from, as far as it takes to get that blob.
 * @param address what a store's `put` or `alias` gave out
 * @throws TypeError where no kind of store has such addresses
 */
export function openStoreOf(address: string): BlobStore {
  if (schemeOf(address) !== 's3') return openStore(dirname(address));
  const { prefix: _, ...bucket } = parseS3Address(address);
  return createS3Store(bucket);
}

/** A blob's neighbourhood: the store of what lies beside it, and its own key there. */
export interface Neighbourhood {
  readonly store: BlobStore;
  readonly name: string;
}

/**
 * Opens the store of all that lies beside a blob, or below it.
 * @param address `file:` or `s3:`
 * @throws TypeError where no kind of store has such addresses
 */
export function openNeighbourhood(address: string): Neighbourhood {
  if (schemeOf(address) !== 's3') {
    const path = address.startsWith('file:') ? fileURLToPath(address) : address;
    return { store: openStore(dirname(path)), name: basename(path) };
  }
  const { prefix = '', ...bucket } = parseS3Address(address);
  const folder = posix.dirname(prefix);
  const store = createS3Store({ ...bucket, ...(folder !== '.' && { prefix: folder }) });
  return { store, name: posix.basename(prefix) };
}

/**
 * Whether an address lies below another one: in the same bucket on the same server, or in that folder. Without looking
 * there: links are followed.
 */
export function isBelow(address: string, root: string): boolean {
  const [inner, outer] = [address, root].map((text) => new URL(openStore(text).url));
  if (!inner || !outer) return false;
  const folder = outer.pathname.endsWith('/') ? outer.pathname : `${outer.pathname}/`;
  return (
    inner.protocol === outer.protocol &&
    inner.host === outer.host &&
    inner.search === outer.search &&
    inner.pathname.startsWith(folder)
  );
}

function schemeOf(address: string): string | undefined {
  // Two letters at least: one is a drive on Windows, not a scheme.
  return /^([a-z][a-z0-9+.-]+):/i.exec(address)?.[1]?.toLowerCase();
}

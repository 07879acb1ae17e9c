import { fileURLToPath } from 'node:url';
import type { BlobStore } from './blob-store.js';
import { createFolderStore } from './folder-store.js';

/**
 * Opens the store that an address names.
 * @param address a folder's path, or a `file:` URL
 * @throws TypeError where no kind of store has such addresses
 */
export function openStore(address: string): BlobStore {
  // Two letters at least: one is a drive on Windows, not a scheme.
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(address)?.[1]?.toLowerCase();
  if (address === '')
    throw new TypeError('Expected a folder or a file: URL for the store but received an empty text');
  if (scheme === undefined) return createFolderStore(address);
  if (scheme === 'file') return createFolderStore(fileURLToPath(address));
  throw new TypeError(`Expected a folder or a file: URL for the store but received ${address}`);
}

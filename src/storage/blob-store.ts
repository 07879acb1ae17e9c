/** How a blob is to be served, for stores that keep it beside the bytes. */
export interface BlobOptions {
  /** Media type, such as `image/png`. */
  readonly contentType: string;
}

/**
 * Where finished pictures are kept for good. Keys are relative paths of `/`-separated names.
 * Every method throws `StorageUnavailable` where trying again may help and `StorageRefused` where it will not.
 */
export interface BlobStore {
  /** The store's own address. */
  readonly url: string;
  /**
   * Keeps these bytes under this key: whole or not at all, and safe from a power cut once it has returned.
   * Idempotent: a key that already holds them is left as it is; one that holds something else is replaced.
   * @returns the blob's address
   */
  put(key: string, bytes: Uint8Array, options: BlobOptions): Promise<string>;
  /**
   * Gives the blob under `key` a second name that people can read. Idempotent.
   * @returns the blob's address under that name
   */
  alias(key: string, name: string, options: BlobOptions): Promise<string>;
  /** @param address a key, or an address that `put` or `alias` gave out */
  get(address: string): Promise<Buffer>;
  /** Proves that the store can be written, before work is spent on something that it should keep. */
  check(): Promise<void>;
}

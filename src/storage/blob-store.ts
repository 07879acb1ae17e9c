/** How a blob is to be served, for stores that keep it beside the bytes. */
export interface BlobOptions {
  /** Media type, such as `image/png`. */
  readonly contentType: string;
}

/** How a blob's download URL is made. */
export interface DownloadOptions {
  /** How long the URL works, for stores whose URLs expire: 1 to 604,800 (a week). Default: 3,600. */
  readonly expiresInSeconds?: number;
}

/** Part of a blob. */
export interface BlobPart {
  readonly bytes: Buffer;
  /** Of the whole blob. */
  readonly size: number;
  /** Another one where the blob has been replaced in between. */
  readonly version: string;
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
  /**
   * A blob's bytes, as they were put.
   * @param address a key, or an address that `put` or `alias` gave out
   */
  get(address: string): Promise<Buffer>;
  /**
   * A blob's bytes from `start` on, at most `length` of them and none beyond its end: for what is too large to be held.
   * @param address a key, or an address that `put` or `alias` gave out
   */
  getPart(address: string, start: number, length: number): Promise<BlobPart>;
  /** The keys that lie directly below this one, sorted; none where there is nothing. */
  list(key: string): Promise<string[]>;
  /**
   * A URL under which a blob can be downloaded without any further right, so treat it as a secret: presigned for S3,
   * a folder's is the file's own. Does not look whether the blob is there.
   * @param address a key, or an address that `put` or `alias` gave out
   */
  downloadUrl(address: string, options?: DownloadOptions): Promise<string>;
  /**
   * Proves that the store can be written, before work is spent on something that it should keep.
   * @param bytes what there must be room for, as far as the store knows its room. Default: 0
   */
  check(bytes?: number): Promise<void>;
}

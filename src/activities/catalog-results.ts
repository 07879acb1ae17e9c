import { MAX_CATALOG_ROWS, ResultLine } from '../contract/catalog.js';
import type { BlobStore } from '../storage/blob-store.js';
import type { Neighbourhood } from '../storage/open-store.js';

/** Where a catalogue's results are, beside it. */
export function resultsFolder(name: string): string {
  return `${name}.results`;
}

/** The names of all shards, oldest first. */
export async function listShards({ store, name }: Neighbourhood): Promise<string[]> {
  return (await store.list(resultsFolder(name))).filter((key) => key.endsWith('.jsonl'));
}

/** A shard's lines. What can't be read as one is skipped: its row counts as missing. */
export async function readShard(store: BlobStore, key: string): Promise<ResultLine[]> {
  const text = (await store.get(key)).toString('utf8');
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [ResultLine.parse(JSON.parse(line))];
    } catch {
      return [];
    }
  });
}

/** What earlier runs have come to. */
export interface ResultIndex {
  /** Whether the last result of this row is this one. */
  isLatest(row: number, digest: string): boolean;
  /** Whether some row with this digest is done. */
  knows(digest: string): boolean;
  /** The result of whichever row had this digest. */
  find(digest: string): Promise<Extract<ResultLine, { status: 'done' }> | undefined>;
}

/** Shards that are held at a time; rows that moved mostly moved together. */
const HELD_SHARDS = 16;

/**
 * Reads all shards once. Holds 20 to 40 bytes a row, not the lines: a million rows are 32 MB. Of a digest 64 bits are
 * compared, which among a million rows mistakes one for another in one of 30 million catalogues.
 * @param onShard called with each, for heartbeats
 */
export async function openResultIndex(place: Neighbourhood, onShard: () => void): Promise<ResultIndex> {
  const { store } = place;
  const shards = await listShards(place);
  const known = new DigestTable();
  let latest = new BigUint64Array(1024);
  for (const [number, key] of shards.entries()) {
    onShard();
    for (const line of await readShard(store, key)) {
      if (line.row > MAX_CATALOG_ROWS) continue;
      if (line.row >= latest.length) latest = enlarged(latest, line.row);
      const digest = shortDigest(line.digest);
      latest[line.row] = line.status === 'done' ? digest : 0n;
      if (line.status === 'done') known.set(digest, number);
    }
  }

  const held = new Map<string, Promise<ResultLine[]>>();
  function hold(key: string): Promise<ResultLine[]> {
    const shard = held.get(key) ?? readShard(store, key);
    held.delete(key);
    held.set(key, shard);
    const [oldest] = held.keys();
    if (held.size > HELD_SHARDS && oldest !== undefined) held.delete(oldest);
    return shard;
  }

  return {
    isLatest: (row, digest) => latest[row] === shortDigest(digest),
    knows: (digest) => known.get(shortDigest(digest)) !== undefined,
    async find(digest) {
      const key = shards[known.get(shortDigest(digest)) ?? -1];
      if (key === undefined) return undefined;
      for (const line of await hold(key)) {
        if (line.digest === digest && line.status === 'done') return line;
      }
      return undefined;
    },
  };
}

function enlarged(array: BigUint64Array<ArrayBuffer>, index: number): BigUint64Array<ArrayBuffer> {
  const larger = new BigUint64Array(Math.max(array.length * 2, index + 1));
  larger.set(array);
  return larger;
}

/** 0 stands for none. */
function shortDigest(digest: string): bigint {
  return BigInt(`0x${digest.slice(0, 16)}`) || 1n;
}

/** Digests and a small number for each, without an object an entry. */
class DigestTable {
  #digests = new BigUint64Array(1024);
  #numbers = new Uint32Array(1024);
  #size = 0;

  set(digest: bigint, number: number): void {
    if (this.#size * 2 >= this.#digests.length) this.#grow();
    const place = this.#placeOf(digest);
    if (this.#digests[place] === 0n) this.#size++;
    this.#digests[place] = digest;
    this.#numbers[place] = number;
  }

  get(digest: bigint): number | undefined {
    const place = this.#placeOf(digest);
    return this.#digests[place] === digest ? this.#numbers[place] : undefined;
  }

  /** Where it is, or would be. */
  #placeOf(digest: bigint): number {
    const mask = this.#digests.length - 1;
    let place = Number(digest & BigInt(mask));
    while (this.#digests[place] !== 0n && this.#digests[place] !== digest) place = (place + 1) & mask;
    return place;
  }

  #grow(): void {
    const [digests, numbers] = [this.#digests, this.#numbers];
    this.#digests = new BigUint64Array(digests.length * 2);
    this.#numbers = new Uint32Array(digests.length * 2);
    this.#size = 0;
    for (const [place, digest] of digests.entries()) {
      if (digest !== 0n) this.set(digest, numbers[place] as number);
    }
  }
}

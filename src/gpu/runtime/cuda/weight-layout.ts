import type { StoredTensor } from '../../checkpoint/safetensors.js';
import { roundUp } from './driver.js';

/** A tensor that a graph uses. */
export interface NamedTensor extends StoredTensor {
  readonly name: string;
}

/** Bytes of a file that are neighbours in the arena too. */
export interface CopyRun {
  readonly file: string;
  readonly fileOffset: number;
  readonly arenaOffset: number;
  readonly length: number;
}

/** Where the weights of a component lie. The same for every process that lays out the same weights. */
export interface WeightLayout {
  /** All that has to be copied: file after file in the order of their first use, from each file's beginning to its end. */
  readonly plan: readonly CopyRun[];
  /** Where each weight begins, by its name. */
  readonly offsets: ReadonlyMap<string, number>;
  /** Bytes from the first weight's first to the last one's last. */
  readonly extent: number;
}

/** What CUDA's own allocator gives, and what kernels that load 16 bytes at a time count on. */
const ALIGNMENT = 256;

/**
 * Where each weight goes. Inside a file the file's order is kept, not that of use: neighbours there are neighbours here,
 * so that copies are large; nothing can run before the whole component is there anyway.
 * @param weights in the order of their use. A name may come twice; names of the same bytes share a place
 */
export function layOut(weights: readonly NamedTensor[]): WeightLayout {
  const files = new Map<string, NamedTensor[]>();
  for (const weight of weights) {
    const others = files.get(weight.file);
    if (others) others.push(weight);
    else files.set(weight.file, [weight]);
  }
  const runs: CopyRun[] = [];
  const offsets = new Map<string, number>();
  let end = 0;
  for (const tensors of files.values()) {
    // An empty tensor before the one that begins where it does.
    tensors.sort((a, b) => a.offset - b.offset || a.length - b.length);
    let last: NamedTensor | undefined;
    for (const tensor of tensors) {
      const isSame = last?.offset === tensor.offset && last.length === tensor.length;
      const arenaOffset = isSame && last ? (offsets.get(last.name) ?? 0) : roundUp(end, ALIGNMENT);
      const known = offsets.get(tensor.name);
      if (known !== undefined && known !== arenaOffset) {
        throw new Error(`expected one place for the weight ${tensor.name}, got two of them`);
      }
      offsets.set(tensor.name, arenaOffset);
      if (!isSame) {
        end = arenaOffset + tensor.length;
        const { file, offset: fileOffset, length } = tensor;
        if (length > 0) runs.push({ file, fileOffset, arenaOffset, length });
      }
      last = tensor;
    }
  }
  return { plan: joinNeighbours(runs), offsets, extent: end };
}

/** Makes one of what is neighbours in the file and in the arena. */
export function joinNeighbours(runs: readonly CopyRun[]): CopyRun[] {
  const joined: CopyRun[] = [];
  for (const run of runs) {
    const last = joined.at(-1);
    if (
      last?.file === run.file &&
      last.fileOffset + last.length === run.fileOffset &&
      last.arenaOffset + last.length === run.arenaOffset
    ) {
      joined[joined.length - 1] = { ...last, length: last.length + run.length };
    } else {
      joined.push(run);
    }
  }
  return joined;
}

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
  /**
   * All that has to be copied, stage after stage: file after file in the order of their first use, from each file's
   * beginning to its end.
   */
  readonly plan: readonly CopyRun[];
  /** Where each weight begins, by its name. */
  readonly offsets: ReadonlyMap<string, number>;
  /** Bytes from the first weight's first to the last one's last. */
  readonly extent: number;
  /** How far the weights of each stage, and of those before it, reach; one where there are no stages. */
  readonly stageEnds: readonly number[];
}

/** What CUDA's own allocator gives, and what kernels that load 16 bytes at a time count on. */
const ALIGNMENT = 256;

/**
 * Where each weight goes. Inside a stage's part of a file the file's order is kept, not that of use: neighbours there
 * are neighbours here, so that copies are large; a stage can't begin before all its weights are there anyway.
 * @param weights in the order of their use. A name may come twice; names of the same bytes share a place
 * @param stages how many of them, the first ones, each stage needs. Default: there is one stage
 */
export function layOut(
  weights: readonly NamedTensor[],
  stages: readonly number[] = [weights.length],
): WeightLayout {
  const runs: CopyRun[] = [];
  const offsets = new Map<string, number>();
  const stageEnds: number[] = [];
  /** Where what lies at a place of a file has gone, by that place. */
  const placed = new Map<string, number>();
  let end = 0;
  for (const [stage, count] of stages.entries()) {
    for (const tensors of byFile(weights.slice(stages[stage - 1] ?? 0, count))) {
      // An empty tensor before the one that begins where it does.
      tensors.sort((a, b) => a.offset - b.offset || a.length - b.length);
      for (const { name, file, offset: fileOffset, length } of tensors) {
        const key = `${fileOffset} ${length} ${file}`;
        const before = placed.get(key);
        const arenaOffset = before ?? roundUp(end, ALIGNMENT);
        const known = offsets.get(name);
        if (known !== undefined && known !== arenaOffset) {
          throw new Error(`expected one place for the weight ${name}, got two of them`);
        }
        offsets.set(name, arenaOffset);
        if (before !== undefined) continue;
        placed.set(key, arenaOffset);
        end = arenaOffset + length;
        if (length > 0) runs.push({ file, fileOffset, arenaOffset, length });
      }
    }
    stageEnds.push(end);
  }
  return { plan: joinNeighbours(runs), offsets, extent: end, stageEnds };
}

/** In the order of the files' first use. */
function byFile(weights: readonly NamedTensor[]): NamedTensor[][] {
  const files = new Map<string, NamedTensor[]>();
  for (const weight of weights) {
    const others = files.get(weight.file);
    if (others) others.push(weight);
    else files.set(weight.file, [weight]);
  }
  return [...files.values()];
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

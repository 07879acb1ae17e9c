import { type Checkpoint, openCheckpoint } from '../checkpoint/checkpoint.js';
import { type ComputeTypes, loadGraphs } from '../graph/graphs.js';
import { roundUp } from '../runtime/cuda/driver.js';
import { layOut } from '../runtime/cuda/weight-layout.js';
import type { WantedWeights } from '../runtime/cuda/weight-source.js';
import { pipelineGraphs } from '../runtime/pipeline-graphs.js';
import type { PreparedCheckpoint } from './protocol.js';

export interface PlanOptions {
  /** Where built graphs are kept. */
  readonly cacheFolder: string;
  /** What engines compute in on the device. */
  readonly compute: ComputeTypes;
  /** Of the device's memory. */
  readonly granularity: number;
}

/** Reads what of a checkpoint does not depend on the device. @throws CheckpointInvalid */
export function readPrepared({ checkpoint, model, cacheFolder }: PreparedCheckpoint): Promise<Checkpoint> {
  return openCheckpoint(checkpoint, { name: model, cacheFolder });
}

/**
 * What an engine of this checkpoint will ask for, by the same code: so it can be streamed before that engine has read
 * its graphs.
 * @throws CheckpointInvalid
 */
export async function weightsOf(
  checkpoint: Checkpoint,
  { cacheFolder, compute, granularity }: PlanOptions,
): Promise<WantedWeights[]> {
  const graphs = await loadGraphs(checkpoint, { cacheFolder, compute });
  return pipelineGraphs(checkpoint, graphs).map(({ component, weights, stages }) => {
    const layout = layOut(weights, stages);
    const mappedBytes = roundUp(Math.max(layout.extent, 1), granularity);
    return { component, checkpointDigest: checkpoint.card.digest, mappedBytes, layout };
  });
}

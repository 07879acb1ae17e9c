import { openCheckpoint } from '../checkpoint/checkpoint.js';
import { type ComputeTypes, loadGraphs } from '../graph/graphs.js';
import { roundUp } from '../runtime/cuda/driver.js';
import { layOut } from '../runtime/cuda/weight-layout.js';
import type { WantedWeights } from '../runtime/cuda/weight-source.js';
import { pipelineGraphs } from '../runtime/pipeline-graphs.js';
import type { PreparedCheckpoint } from './protocol.js';

/**
 * What an engine of this checkpoint will ask for, by the same code: so it can be streamed before that engine has read
 * its graphs.
 * @throws CheckpointInvalid
 */
export async function weightsOf(
  { checkpoint: folder, model, cacheFolder }: PreparedCheckpoint,
  compute: ComputeTypes,
  granularity: number,
): Promise<WantedWeights[]> {
  const checkpoint = await openCheckpoint(folder, { name: model, cacheFolder });
  const graphs = await loadGraphs(checkpoint, { cacheFolder, compute });
  return pipelineGraphs(checkpoint, graphs).map(({ component, weights }) => {
    const layout = layOut(weights);
    const mappedBytes = roundUp(Math.max(layout.extent, 1), granularity);
    return { component, checkpointDigest: checkpoint.card.digest, mappedBytes, layout };
  });
}

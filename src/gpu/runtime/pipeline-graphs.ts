import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { Graphs } from '../graph/graphs.js';
import type { RuntimeGraph } from './session.js';

/** The graphs of a pipeline as a runtime opens them: in the order of their use. */
export function pipelineGraphs(
  { card, textEncoder, transformer, vae }: Checkpoint,
  graphs: Graphs,
): readonly [textEncoder: RuntimeGraph, transformer: RuntimeGraph, vaeDecoder: RuntimeGraph] {
  const checkpointDigest = card.digest;
  return [
    {
      component: 'text_encoder',
      ...graphs.textEncoder,
      weightsFolder: textEncoder.weights.folder,
      checkpointDigest,
    },
    {
      component: 'transformer',
      ...graphs.transformer,
      weightsFolder: transformer.weights.folder,
      checkpointDigest,
    },
    { component: 'vae', ...graphs.vaeDecoder, weightsFolder: vae.weights.folder, checkpointDigest },
  ];
}

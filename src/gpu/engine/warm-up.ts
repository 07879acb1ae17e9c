import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { floatTensor, type Inputs, integerTensor } from '../runtime/session.js';
import type { InputsThread } from './inputs-thread.js';
import { tokenPlaces } from './token-places.js';

/**
 * What sessions run on once, at the default size, while weights are still on their way: each finds its kernels and its
 * memory then. In the order of `pipelineGraphs`.
 */
export function warmUpInputs(
  checkpoint: Pick<Checkpoint, 'card' | 'transformer'>,
  thread: InputsThread,
): readonly (() => Promise<Inputs>)[] {
  const { maxTokens, unit, defaultHeight, defaultWidth } = checkpoint.card;
  const { in_channels: channels, joint_attention_dim: embedding } = checkpoint.transformer.config;
  const shape = { batch: 1, rows: defaultHeight / unit, columns: defaultWidth / unit };
  const zeros = (...dims: number[]) =>
    floatTensor(new Float32Array(dims.reduce((product, side) => product * side)), dims);
  const text = integerTensor(new Array(maxTokens).fill(1), [1, maxTokens]);
  return [
    async () => ({ input_ids: text, attention_mask: text }),
    async () => ({
      ...(await tokenPlaces(checkpoint, thread, shape)),
      hidden_states: zeros(1, shape.rows * shape.columns, channels),
      encoder_hidden_states: zeros(1, maxTokens, embedding),
      timestep: floatTensor(Float32Array.of(1), [1]),
      step: floatTensor(Float32Array.of(-1), [1]),
    }),
    async () => ({ latents: zeros(1, shape.rows, shape.columns, channels) }),
  ];
}

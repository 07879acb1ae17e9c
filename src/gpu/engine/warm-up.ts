import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { floatTensor, type Inputs, integerTensor, type Tensor } from '../runtime/session.js';
import type { InputsThread } from './inputs-thread.js';
import { type BatchShape, tokenPlaces } from './token-places.js';

/**
 * What sessions run on once, at the default size, while weights are still on their way: each finds its kernels and its
 * memory then. In the order of `pipelineGraphs`.
 */
export function warmUpInputs(
  checkpoint: Pick<Checkpoint, 'card' | 'transformer'>,
  thread: InputsThread,
): readonly (() => Promise<Inputs>)[] {
  const { maxTokens } = checkpoint.card;
  const { in_channels: channels, joint_attention_dim: embedding } = checkpoint.transformer.config;
  const shape = defaultShape(checkpoint);
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
    decoderInputs(checkpoint, shape),
  ];
}

/** The same of the VAE decoder alone, for a batch of any size. */
export function decoderInputs(
  { transformer }: Pick<Checkpoint, 'transformer'>,
  { batch, rows, columns }: BatchShape,
): () => Promise<Inputs> {
  const { in_channels: channels } = transformer.config;
  return async () => ({ latents: zeros(batch, rows, columns, channels) });
}

/** One picture of the model's default size. */
export function defaultShape({ card }: Pick<Checkpoint, 'card'>): BatchShape {
  const { unit, defaultHeight, defaultWidth } = card;
  return { batch: 1, rows: defaultHeight / unit, columns: defaultWidth / unit };
}

function zeros(...dims: number[]): Tensor {
  return floatTensor(new Float32Array(dims.reduce((product, side) => product * side)), dims);
}

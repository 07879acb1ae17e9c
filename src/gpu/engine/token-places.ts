import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { floatTensor, integerTensor, type Tensor } from '../runtime/session.js';
import type { InputsThread } from './inputs-thread.js';

/** A batch's size in the model's terms. */
export interface BatchShape {
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
}

/** Where every token of a batch is, as the transformer is told. */
export async function tokenPlaces(
  { card, transformer }: Pick<Checkpoint, 'card' | 'transformer'>,
  thread: InputsThread,
  { batch, rows, columns }: BatchShape,
): Promise<Record<'rope_cos' | 'rope_sin' | 'positions', Tensor>> {
  const { config } = transformer;
  const rotary = await thread.rotary({ config, textTokens: card.maxTokens, rows, columns });
  const half = config.attention_head_dim / 2;
  const row = Array.from({ length: rotary.tokens }, (_, token) => token);
  return {
    rope_cos: floatTensor(rotary.cos, [rotary.tokens, half]),
    rope_sin: floatTensor(rotary.sin, [rotary.tokens, half]),
    positions: integerTensor(new Array(batch).fill(row).flat(), [batch, rotary.tokens]),
  };
}

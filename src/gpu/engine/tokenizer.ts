import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Template } from '@huggingface/jinja';
import { Tokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { CheckpointInvalid } from '../../contract/errors.js';
import type { ModelCard } from '../../contract/model-card.js';
import { fileExists } from '../checkpoint/file-exists.js';
import { readJsonFile } from '../checkpoint/json-file.js';

const TokenizerConfig = z.looseObject({
  pad_token: z.union([z.string(), z.object({ content: z.string() }).transform((token) => token.content)]),
  padding_side: z.literal('right').default('right'),
  chat_template: z.string().optional(),
});

/** Special token ids before and after the text are kept when the text is cut. */
export interface EncodedPrompt {
  /** Exactly `maxTokens` of them, padded at the end. */
  readonly ids: readonly number[];
  /** 1 for a token of the prompt, 0 for padding. */
  readonly mask: readonly number[];
}

/** Turns prompts into token ids as diffusers' `Flux2KleinPipeline` does: chat template, cut, pad. */
export interface PromptTokenizer {
  /** How many tokens the prompt has before it is cut, special ones included. */
  count(prompt: string): number;
  encode(prompt: string): EncodedPrompt;
}

/** What of a checkpoint its tokenizer depends on. */
export interface TokenizerSource {
  readonly folder: string;
  readonly card: Pick<ModelCard, 'maxTokens'>;
}

/** @throws CheckpointInvalid */
export async function loadTokenizer(checkpoint: TokenizerSource): Promise<PromptTokenizer> {
  const folder = join(checkpoint.folder, 'tokenizer');
  const file = join(folder, 'tokenizer.json');
  const config = await readJsonFile(join(folder, 'tokenizer_config.json'), TokenizerConfig);
  const model = await readJsonFile(file, z.looseObject({}));
  const template = await loadTemplate(folder, config.chat_template);
  let tokenizer: Tokenizer;
  try {
    tokenizer = new Tokenizer(model, config);
  } catch (cause) {
    throw new CheckpointInvalid(`${file}: not a tokenizer that is supported: ${(cause as Error).message}`, {
      cause,
    });
  }
  const padding = tokenizer.token_to_id(config.pad_token);
  if (padding === undefined) {
    throw new CheckpointInvalid(`${file}: expected the padding token ${config.pad_token} in the vocabulary`);
  }

  const render = (prompt: string) =>
    template.render({
      messages: [{ role: 'user', content: prompt }],
      add_generation_prompt: true,
      enable_thinking: false,
    });
  const maxTokens = checkpoint.card.maxTokens;
  return {
    count: (prompt) => tokenizer.encode(render(prompt)).ids.length,
    encode(prompt) {
      const text = render(prompt);
      const whole = tokenizer.encode(text).ids;
      const ids = whole.length <= maxTokens ? whole : cut(whole, bareIds(tokenizer, text), maxTokens);
      const missing = maxTokens - ids.length;
      return {
        ids: [...ids, ...new Array(missing).fill(padding)],
        mask: [...ids.map(() => 1), ...new Array(missing).fill(0)],
      };
    },
  };
}

function bareIds(tokenizer: Tokenizer, text: string): number[] {
  return tokenizer.encode(text, { add_special_tokens: false }).ids;
}

/** Shortens the text between the special tokens that the tokenizer puts before and after it. */
function cut(whole: readonly number[], bare: readonly number[], length: number): number[] {
  const special = whole.length - bare.length;
  let before = 0;
  while (before < special && !bare.every((id, index) => whole[before + index] === id)) before++;
  return [
    ...whole.slice(0, before),
    ...bare.slice(0, length - special),
    ...whole.slice(before + bare.length),
  ];
}

/** `chat_template.jinja` wins over the config's field, as in transformers. */
async function loadTemplate(folder: string, fallback: string | undefined): Promise<Template> {
  const file = join(folder, 'chat_template.jinja');
  const source = (await fileExists(file)) ? await readFile(file, 'utf8') : fallback;
  if (source === undefined) {
    throw new CheckpointInvalid(
      `${folder}: expected chat_template.jinja, or chat_template in tokenizer_config.json`,
    );
  }
  try {
    return new Template(source);
  } catch (cause) {
    throw new CheckpointInvalid(`${file}: not a chat template: ${(cause as Error).message}`, { cause });
  }
}

import type { Worker } from 'node:worker_threads';
import { CheckpointInvalid } from '../../contract/errors.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { TransformerConfig } from '../checkpoint/configs.js';
import { startThread } from '../programs/start-thread.js';
import { ThreadCalls } from '../thread-calls.js';
import type { RotaryTables } from './latents.js';
import type { EncodedPrompt, TokenizerSource } from './tokenizer.js';

/** The noise that pictures begin with: one generator an image, so that it does not depend on its batch. */
export interface NoiseRequest {
  readonly type: 'noise';
  readonly seeds: readonly number[];
  /** Of one image. */
  readonly tokens: number;
  readonly channels: number;
}

export interface EncodeRequest {
  readonly type: 'encode';
  readonly prompts: readonly string[];
}

/** See `rotaryTables`. */
export interface RotaryRequest {
  readonly type: 'rotary';
  readonly config: TransformerConfig;
  readonly textTokens: number;
  readonly rows: number;
  readonly columns: number;
}

type Request = EncodeRequest | NoiseRequest | RotaryRequest;
type Made = readonly EncodedPrompt[] | Float32Array | RotaryTables;
export type InputsRequest = { readonly id: number } & Request;

/** What the thread says: first whether the tokenizer is there, then what it was asked for. */
export type InputsAnswer =
  | { readonly type: 'ready' }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'made'; readonly id: number; readonly made: Made };

/**
 * What a render starts from, made on a thread of its own, for the event loop has weights to move meanwhile: a vocabulary
 * of 150,000 tokens takes half a second to load, noise and rotary tables of a picture of 1024² 70 ms to compute.
 */
export class InputsThread {
  readonly #worker: Worker;
  readonly #calls: ThreadCalls<Request, Made>;
  readonly #ready: Promise<void>;
  #lastRotary: { readonly key: string; readonly tables: Promise<RotaryTables> } | undefined;

  constructor({ folder, card }: Pick<Checkpoint, 'folder' | 'card'>) {
    const source: TokenizerSource = { folder, card: { maxTokens: card.maxTokens } };
    this.#worker = startThread('inputs-worker', source);
    this.#calls = new ThreadCalls(this.#worker);
    this.#ready = new Promise((resolve, reject) => {
      this.#worker.on('message', (answer: InputsAnswer) => {
        if (answer.type === 'ready') resolve();
        else if (answer.type === 'refused') reject(new CheckpointInvalid(answer.message));
        else this.#calls.answered(answer.id, answer.made);
      });
      const fail = (error: Error) => {
        reject(error);
        this.#calls.ended(error);
      };
      this.#worker.on('error', fail);
      this.#worker.on('exit', () => fail(new Error('expected the tokenizer to go on, its thread has ended')));
    });
    // Whoever waits for it is told; nobody has to.
    this.#ready.catch(() => {});
  }

  /**
   * Resolves when prompts can be encoded; until then the thread keeps the process alive.
   * @throws CheckpointInvalid
   */
  async ready(): Promise<void> {
    try {
      await this.#ready;
    } finally {
      this.#calls.rest();
    }
  }

  /** @returns what `PromptTokenizer.encode` makes of each */
  async encode(prompts: readonly string[]): Promise<readonly EncodedPrompt[]> {
    return (await this.#calls.call({ type: 'encode', prompts })) as readonly EncodedPrompt[];
  }

  /** @returns packed latents [seeds, tokens, channels] */
  async noise(request: Omit<NoiseRequest, 'type'>): Promise<Float32Array> {
    return (await this.#calls.call({ type: 'noise', ...request })) as Float32Array;
  }

  /** Those of the last size are kept: the warm-up and the first render are of one size, mostly. */
  rotary(request: Omit<RotaryRequest, 'type'>): Promise<RotaryTables> {
    const { textTokens, rows, columns } = request;
    const key = `${textTokens} ${rows} ${columns}`;
    if (this.#lastRotary?.key === key) return this.#lastRotary.tables;
    const tables = this.#calls.call({ type: 'rotary', ...request }) as Promise<RotaryTables>;
    this.#lastRotary = { key, tables };
    return tables;
  }

  close(): Promise<void> {
    return this.#calls.close();
  }
}

import { Worker } from 'node:worker_threads';
import { CheckpointInvalid } from '../../contract/errors.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { ThreadCalls } from '../thread-calls.js';
import type { EncodedPrompt, TokenizerSource } from './tokenizer.js';

export interface EncodeRequest {
  readonly id: number;
  readonly prompts: readonly string[];
}

/** What the thread says: first whether the tokenizer is there, then what prompts became. */
export type TokenizerAnswer =
  | { readonly type: 'ready' }
  | { readonly type: 'refused'; readonly message: string }
  | { readonly type: 'encoded'; readonly id: number; readonly encoded: readonly EncodedPrompt[] };

/**
 * A checkpoint's tokenizer on a thread of its own. A vocabulary of 150,000 tokens takes half a second to load, and
 * the event loop has weights to move meanwhile.
 */
export class TokenizerThread {
  readonly #worker: Worker;
  readonly #calls: ThreadCalls<Omit<EncodeRequest, 'id'>, readonly EncodedPrompt[]>;
  readonly #ready: Promise<void>;

  constructor({ folder, card }: Pick<Checkpoint, 'folder' | 'card'>) {
    const source: TokenizerSource = { folder, card: { maxTokens: card.maxTokens } };
    this.#worker = new Worker(new URL('./tokenizer-worker.js', import.meta.url), { workerData: source });
    this.#calls = new ThreadCalls(this.#worker);
    this.#ready = new Promise((resolve, reject) => {
      this.#worker.on('message', (answer: TokenizerAnswer) => {
        if (answer.type === 'ready') resolve();
        else if (answer.type === 'refused') reject(new CheckpointInvalid(answer.message));
        else this.#calls.answered(answer.id, answer.encoded);
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
      if (this.#calls.isIdle) this.#worker.unref();
    }
  }

  /** @returns what `PromptTokenizer.encode` makes of each */
  encode(prompts: readonly string[]): Promise<readonly EncodedPrompt[]> {
    return this.#calls.call({ prompts });
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

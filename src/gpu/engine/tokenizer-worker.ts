/* The thread that holds an engine's tokenizer. */
import { parentPort, workerData } from 'node:worker_threads';
import { CheckpointInvalid } from '../../contract/errors.js';
import { loadTokenizer, type PromptTokenizer, type TokenizerSource } from './tokenizer.js';
import type { EncodeRequest, TokenizerAnswer } from './tokenizer-thread.js';

const port = parentPort;
if (!port) throw new Error('expected to be started as a worker thread');
const answer = (message: TokenizerAnswer) => port.postMessage(message);

const tokenizer = await loadTokenizer(workerData as TokenizerSource).catch((error: unknown) => {
  // An error's class does not survive the way between threads.
  if (error instanceof CheckpointInvalid) answer({ type: 'refused', message: error.message });
  else throw error;
});
if (tokenizer) serve(tokenizer);

function serve(tokenizer: PromptTokenizer): void {
  port?.on('message', ({ id, prompts }: EncodeRequest) => {
    answer({ type: 'encoded', id, encoded: prompts.map((prompt) => tokenizer.encode(prompt)) });
  });
  answer({ type: 'ready' });
}

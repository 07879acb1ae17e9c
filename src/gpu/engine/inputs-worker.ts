/* The thread that makes what an engine's renders start from. */
import { parentPort, workerData } from 'node:worker_threads';
import { CheckpointInvalid } from '../../contract/errors.js';
import type { InputsAnswer, InputsRequest, NoiseRequest } from './inputs-thread.js';
import { packLatents, rotaryTables } from './latents.js';
import { normalNoise } from './noise.js';
import { loadTokenizer, type PromptTokenizer, type TokenizerSource } from './tokenizer.js';

const port = parentPort;
if (!port) throw new Error('expected to be started as a worker thread');
const answer = (message: InputsAnswer, moved: ArrayBuffer[] = []) => port.postMessage(message, moved);

const tokenizer = await loadTokenizer(workerData as TokenizerSource).catch((error: unknown) => {
  // An error's class does not survive the way between threads.
  if (error instanceof CheckpointInvalid) answer({ type: 'refused', message: error.message });
  else throw error;
});
if (tokenizer) serve(tokenizer);

function serve(tokenizer: PromptTokenizer): void {
  port?.on('message', (request: InputsRequest) => {
    const { id } = request;
    switch (request.type) {
      case 'encode':
        return answer({ type: 'made', id, made: request.prompts.map((prompt) => tokenizer.encode(prompt)) });
      case 'noise': {
        const made = noiseOf(request);
        return answer({ type: 'made', id, made }, [made.buffer]);
      }
      case 'rotary': {
        const { config, textTokens, rows, columns } = request;
        const made = rotaryTables(config, textTokens, rows, columns);
        return answer({ type: 'made', id, made }, [made.cos.buffer, made.sin.buffer]);
      }
    }
  });
  answer({ type: 'ready' });
}

function noiseOf({ seeds, tokens, channels }: NoiseRequest): Float32Array<ArrayBuffer> {
  const length = tokens * channels;
  const noise = new Float32Array(seeds.length * length);
  for (const [place, seed] of seeds.entries()) {
    noise.set(packLatents(normalNoise(seed, length), channels), place * length);
  }
  return noise;
}

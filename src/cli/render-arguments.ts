import { z } from 'zod';
import { parse } from '../contract/parse.js';
import { GenerateRequest } from '../contract/request.js';
import { numberOf, parseArguments } from './arguments.js';
import { UsageError } from './usage-error.js';

export const RENDER_HELP = `temporal-diffusion render "a slice of pizza" [options]

Draws a picture, durably, and says where it lies and how it was made.

  --model NAME       which model draws it (default: emoji)
  --seed N           0 to 4294967295; the same seed draws the same picture (default: a new one)
  --size WxH         in pixels, such as 256x256 (default: the model's own)
  --steps N          denoising steps (default: the model's own)
  --count N          1 to 16 pictures, from the seeds N, N + 1, … (default: 1)
  --format FORMAT    png, jpeg, webp or avif (default: png)
  --quality N        1 to 100, not for png
  --out DIR          where the pictures go (default: out)
  --json             one JSON document on stdout, and nothing else there
  --verbose          log what happens, with stack traces, to stderr

With TEMPORAL_ADDRESS, or a profile of Temporal's configuration, the job goes to that server and the workers there;
otherwise the command starts both for as long as it runs. Ctrl-C cancels the job, a second one ends at once.
`;

export interface RenderArguments {
  readonly request: GenerateRequest;
  /** The folder for the pictures; undefined where the user left it out. */
  readonly out: string | undefined;
  readonly json: boolean;
  readonly verbose: boolean;
}

/** Both sides of `--size`; the contract judges the numbers. */
const Size = z.string().regex(/^[^x]+x[^x]+$/, 'expected WIDTHxHEIGHT in pixels, such as 256x256');

/** @throws UsageError, InvalidRequest */
export function parseRenderArguments(argv: readonly string[]): RenderArguments {
  const texts = ['model', 'seed', 'size', 'steps', 'count', 'format', 'quality', 'out'] as const;
  const { texts: given, flags, positionals } = parseArguments(argv, texts, ['json', 'verbose']);
  const [prompt, ...rest] = positionals;
  if (rest.length > 0) {
    throw new UsageError(`expected one prompt, got ${positionals.length}: put it in quotes`);
  }
  if (prompt === undefined) {
    throw new UsageError('expected a prompt, such as: temporal-diffusion render "a slice of pizza"');
  }
  const [width, height] =
    given.size === undefined ? [] : parse(z.object({ size: Size }), given).size.split('x');
  const request = {
    prompt,
    model: given.model,
    seed: numberOf(given.seed),
    width: numberOf(width),
    height: numberOf(height),
    steps: numberOf(given.steps),
    count: numberOf(given.count),
    output: { format: given.format, quality: numberOf(given.quality) },
  };
  return {
    request: parse(GenerateRequest, request),
    out: given.out,
    json: flags.has('json'),
    verbose: flags.has('verbose'),
  };
}

import { createHash } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { Logger } from 'pino';
import { UnknownModel } from '../contract/errors.js';
import { GenerateInput, type PixelClaim } from '../contract/job.js';
import { parse } from '../contract/parse.js';
import { type BatchCeilings, renderInBatches } from '../gpu/batches.js';
import type { EngineHost } from '../gpu/host.js';
import { activity } from './failure.js';
import { withHeartbeats } from './heartbeats.js';
import { tenths } from './milliseconds.js';
import { createProgressReport } from './progress-report.js';
import type { Staging } from './staging.js';

export interface GenerateDependencies {
  readonly host: EngineHost;
  /** What is known of the batches that fit on this host's device. */
  readonly ceilings: BatchCeilings;
  readonly staging: Staging;
  /** The queue on which this host publishes what it has staged. */
  readonly hostQueue: string;
  readonly log: Logger;
}

/** Draws on this host's GPU and stages the pixels, so that the GPU is free before anything is encoded or stored. */
export function createGenerateActivities(dependencies: GenerateDependencies) {
  const { host, staging, hostQueue, log } = dependencies;
  return {
    generate: activity((input: GenerateInput): Promise<PixelClaim[]> => {
      const { model, items, preview } = parse(GenerateInput, input);
      return withHeartbeats(async (beat) => {
        const { info, client, cancellationSignal: signal } = Context.current();
        const { workflowId = '', runId = '' } = info.workflowExecution ?? {};
        const begun = Date.now();
        const { model: card, device } = await host.ready();
        if (model !== card.name) {
          throw new UnknownModel(
            `this worker draws with ${card.name}, but was asked for ${model} [queue=${info.taskQueue}]`,
          );
        }
        const ready = Date.now();
        signal.throwIfAborted();
        const onStep = createProgressReport({ beat, client, workflowId, runId, log });
        const images = await renderInBatches(dependencies, { items, onStep, previews: preview, signal });

        return Promise.all(
          images.map(async ({ index, seed, width, height, pixels, stages }): Promise<PixelClaim> => {
            // The same for every attempt: one that was given up as lost is overwritten, not kept beside.
            const id = `${runId}-${index}`;
            await staging.put(id, pixels);
            log.info({ index, seed, width, height, ...stages }, 'image drawn');
            return {
              id,
              hostQueue,
              index,
              seed,
              width,
              height,
              sha256: createHash('sha256').update(pixels).digest('hex'),
              modelDigest: card.digest,
              device,
              stages: {
                queueMs: Math.max(0, begun - info.currentAttemptScheduledTimestampMs),
                engineMs: ready - begun,
                textMs: tenths(stages.textMs),
                denoiseMs: tenths(stages.denoiseMs),
                decodeMs: tenths(stages.decodeMs),
              },
            };
          }),
        );
      });
    }),
  };
}
export type GenerateActivities = ReturnType<typeof createGenerateActivities>;

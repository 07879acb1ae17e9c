import { createHash } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { Logger } from 'pino';
import type { DrawnBy, EngineRecord } from '../contract/attempts.js';
import { EngineCrashed, ModelReplaced, UnknownModel } from '../contract/errors.js';
import { GenerateInput, type PixelClaim } from '../contract/job.js';
import { parse } from '../contract/parse.js';
import { type BatchCeilings, type BatchedImage, renderInBatches } from '../gpu/batches.js';
import type { EngineHost, LoadedEngine } from '../gpu/host.js';
import { activityLog } from './activity-log.js';
import { recordedAttempt } from './attempt-record.js';
import { activity } from './failure.js';
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
  /** This machine's name, for whoever asks where a picture was drawn. */
  readonly hostName: string;
  /**
   * Whether a task that comes while the engine is being replaced goes back to the queue, for a host that is idle. Only
   * for workers that ask for none until it is: others would be given it again and again. Default: it waits here.
   */
  readonly handsBack?: boolean;
  readonly log: Logger;
}

/** Draws on this host's GPU and stages the pixels, so that the GPU is free before anything is encoded or stored. */
export function createGenerateActivities(dependencies: GenerateDependencies) {
  const { host, staging, hostQueue, hostName } = dependencies;
  return {
    generate: activity((input: GenerateInput): Promise<PixelClaim[]> => {
      const { model, modelDigest, items, preview, signalled } = parse(GenerateInput, input);
      return recordedAttempt(hostName, async ({ beat, note, earlier, signal, throwIfOver }) => {
        const { info, client } = Context.current();
        const { workflowId = '', runId = '' } = info.workflowExecution ?? {};
        const log = activityLog(dependencies.log);
        const begun = Date.now();
        if (dependencies.handsBack) refuseWhileReplaced(host);
        const engine = await host.ready();
        note({ engine: recordOf(engine) });
        const { model: card, device } = engine;
        if (model !== card.name) {
          throw new UnknownModel(
            `this worker draws with ${card.name}, but was asked for ${model} [queue=${info.taskQueue}]`,
          );
        }
        refuseOtherModel(modelDigest, card.digest, model);
        const ready = Date.now();
        throwIfOver();
        const report = createProgressReport({ beat, client, workflowId, runId, signalled, log });
        const images = await renderInBatches(
          { ...dependencies, log },
          {
            items,
            onStep(progress, preview) {
              note({ step: progress.step, of: progress.of });
              report(progress, preview);
            },
            previews: preview,
            about: { job: workflowId },
            signal,
          },
        );
        throwIfOver();
        // The engine may have been lost, and the next one have found another model, since it was asked.
        for (const image of images) refuseOtherModel(modelDigest, image.modelDigest, model);

        return Promise.all(
          images.map(async (image, place): Promise<PixelClaim> => {
            const { index, seed, width, height, pixels, stages } = image;
            // The same for every attempt: one that was given up as lost is overwritten, not kept beside.
            const id = `${runId}-${index}`;
            const staged = staging.put(id, pixels);
            // While the disk writes: the GPU waits for both.
            const sha256 = createHash('sha256').update(pixels).digest('hex');
            await staged;
            log.info(
              { index, seed, width, height, engine: image.engine.pid, device, ...stages },
              'image drawn',
            );
            return {
              id,
              hostQueue,
              index,
              seed,
              width,
              height,
              sha256,
              modelDigest,
              device,
              drawnBy: drawnBy(hostName, image),
              ...(place === 0 && earlier.length > 0 && { earlier: [...earlier] }),
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

function recordOf({ instance, start, readyAt, loadMs, device, deviceName }: LoadedEngine): EngineRecord {
  return { instance, start, readyAt, loadMs: tenths(loadMs), device, deviceName };
}

function drawnBy(host: string, { engine, together, inTiles }: BatchedImage): DrawnBy {
  const { graphDigest, versions } = engine;
  return { host, engine: recordOf(engine), graphDigest, versions, together, ...(inTiles && { inTiles }) };
}

/** @throws ModelReplaced */
function refuseOtherModel(planned: string, found: string, model: string): void {
  if (found === planned) return;
  const short = (digest: string) => digest.slice(0, 12);
  throw new ModelReplaced(
    `expected the ${model} that the job was planned for, but this host draws with another one: give all hosts the same model folder, restart their workers, and ask again [planned=${short(planned)}, found=${short(found)}]`,
  );
}

/** The last thing that a worker asked for before it lost its engine may still be answered. @throws EngineCrashed */
function refuseWhileReplaced({ state }: EngineHost): void {
  if (state.name !== 'waiting' && !(state.name === 'starting' && state.failures > 0)) return;
  throw new EngineCrashed(
    "this host's engine is being replaced: whichever host is ready first draws the image",
  );
}

export type GenerateActivities = ReturnType<typeof createGenerateActivities>;

import type { AttemptRecord } from '../../src/contract/attempts.js';

/** How one attempt of a made history ended. */
export interface MadeAttempt {
  readonly error?: { readonly type: string; readonly message: string };
  readonly host: string;
}

export interface MadeImage {
  /** Drawings of this image, each with its attempts; one that is followed by another was drawn in vain. */
  readonly drawings: readonly (readonly MadeAttempt[])[];
}

const payload = (value: unknown) => ({
  metadata: { encoding: Buffer.from('json/plain').toString('base64') },
  data: Buffer.from(JSON.stringify(value)).toString('base64'),
});
const payloads = (value: unknown) => ({ payloads: [payload(value)] });
const digest = 'a'.repeat(64);

/** Such a failure as workers report it. */
const failureOf = (
  { type, message }: { type: string; message: string },
  records: readonly AttemptRecord[],
) => ({
  message,
  source: 'TypeScriptSDK',
  applicationFailureInfo: { type, details: payloads(records) },
});

/**
 * The history of a `generateImage` as a server would have written it: for what takes a real one too long. Attempts are
 * half a second long and half a second apart. The job is over where every image's last attempt succeeded.
 */
export function madeHistory(images: readonly MadeImage[]): string {
  const events: object[] = [];
  const start = Date.parse('2026-11-25T08:00:00Z');
  const iso = (at: number) => new Date(at).toISOString();
  const add = (at: number, type: string, attributes: object): string => {
    const eventId = String(events.length + 1);
    const name = type.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    events.push({
      eventId,
      eventTime: iso(at),
      eventType: `EVENT_TYPE_${type.toUpperCase()}`,
      [`${name}EventAttributes`]: attributes,
    });
    return eventId;
  };
  const plan = {
    model: 'emoji',
    modelDigest: digest,
    prompt: 'a lighthouse',
    width: 256,
    height: 256,
    steps: 4,
  };
  add(start, 'workflow_execution_started', {
    workflowType: { name: 'generateImage' },
    workflowId: 'generate-image/made',
    originalExecutionRunId: '01a21108-0000-7000-8000-000000000000',
    input: payloads({ prompt: plan.prompt, model: 'emoji', seed: 100, count: images.length }),
  });
  add(start, 'marker_recorded', {
    markerName: 'core_local_activity',
    details: {
      data: payloads({ activity_type: 'preparePromptAtOnce' }),
      result: payloads({ plan: { ...plan, tokens: 5, truncated: false }, settings: {} }),
    },
  });
  let end = start;
  for (const [index, { drawings }] of images.entries()) {
    const seed = 100 + index;
    let at = start + index * 100;
    for (const [nth, attempts] of drawings.entries()) {
      const isLast = nth === drawings.length - 1;
      const records = attempts.map(
        ({ host, error }, place): AttemptRecord => ({
          attempt: place + 1,
          startedAt: at + 500 + place * 1000,
          ms: 500,
          queueMs: 10,
          host,
          engine: {
            instance: `${host}-${place}-4e4e`,
            start: place === 0 ? 'fresh' : 'restored',
            readyAt: at + 400 + place * 1000,
            loadMs: 300,
            device: 'cuda:0',
            deviceName: 'NVIDIA H100 80GB HBM3',
          },
          ...(error && { step: 2, of: 4, error }),
        }),
      );
      const item = { index, prompt: plan.prompt, width: 256, height: 256, steps: 4, seed };
      const scheduledEventId = add(at, 'activity_task_scheduled', {
        activityId: `${index}-${nth}`,
        activityType: { name: 'generate' },
        taskQueue: { name: 'diffusion-gpu.emoji' },
        input: payloads({ model: 'emoji', modelDigest: digest, items: [item] }),
      });
      const [own, before] = [records.at(-1), records.at(-2)];
      if (!own) continue;
      const begun = own.startedAt;
      add(begun, 'activity_task_started', {
        scheduledEventId,
        identity: `7@${own.host}`,
        attempt: attempts.length,
        ...(before?.error && { lastFailure: failureOf(before.error, records.slice(0, -1)) }),
      });
      at = begun + own.ms;
      if (own.error) {
        add(at, 'activity_task_failed', { scheduledEventId, failure: failureOf(own.error, records) });
        end = Math.max(end, at);
        continue;
      }
      const { host = '', engine } = own;
      const stages = { queueMs: 10, engineMs: 0, textMs: 20, denoiseMs: 400, decodeMs: 60 };
      const claim = {
        id: `run-${index}`,
        hostQueue: `diffusion-host.${host}`,
        index,
        seed,
        width: 256,
        height: 256,
        sha256: digest,
        modelDigest: digest,
        device: 'cuda:0',
        drawnBy: {
          host,
          engine,
          graphDigest: digest,
          versions: { package: '0', node: '0', onnxruntime: '0' },
          together: 1,
        },
        ...(records.length > 1 && { earlier: records.slice(0, -1) }),
        stages,
      };
      add(at, 'activity_task_completed', { scheduledEventId, result: payloads([claim]) });
      const publish = add(at, 'activity_task_scheduled', {
        activityId: `${index}-${nth}-publish`,
        activityType: { name: 'publish' },
        taskQueue: { name: claim.hostQueue },
        input: payloads({ claim, output: { format: 'png' }, origin: { prompt: plan.prompt } }),
      });
      if (!isLast) {
        at += 20_000;
        const failure = {
          message: 'activity timeout',
          timeoutFailureInfo: { timeoutType: 'TIMEOUT_TYPE_SCHEDULE_TO_START' },
        };
        add(at, 'activity_task_timed_out', { scheduledEventId: publish, failure });
        continue;
      }
      add(at + 5, 'activity_task_started', { scheduledEventId: publish, identity: `7@${host}`, attempt: 1 });
      at += 50;
      const url = `file:///nowhere/a-lighthouse-${seed}.png`;
      const image = {
        ...{
          index,
          seed,
          url,
          blobUrl: url,
          sha256: digest,
          pixelsSha256: digest,
          bytes: 50_000,
          format: 'png',
        },
        ...{ width: 256, height: 256, device: 'cuda:0', stages: { ...stages, encodeMs: 5, storeMs: 30 } },
      };
      add(at, 'activity_task_completed', { scheduledEventId: publish, result: payloads(image) });
      end = Math.max(end, at);
    }
  }
  const isDone = images.every(({ drawings }) => !drawings.at(-1)?.at(-1)?.error);
  const failed = images.flatMap(({ drawings }) => drawings.at(-1)?.at(-1)?.error ?? []).at(0);
  if (isDone) add(end + 5, 'workflow_execution_completed', { result: payloads({}) });
  else if (failed) add(end + 5, 'workflow_execution_failed', { failure: failureOf(failed, []) });
  return JSON.stringify({ events });
}

import { randomUUID } from 'node:crypto';
import { chmod, mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import { EngineStalled, SnapshotInvalid } from '../../contract/errors.js';
import type { RenderItem } from '../../contract/job.js';
import type { ModelCard } from '../../contract/model-card.js';
import { syncFolder } from '../../storage/atomic-write.js';
import { EngineMessage, type Hello, type ParentMessage } from '../engine/protocol.js';
import { encodeFrame, readFrames } from '../frames.js';
import { type Criu, dump, ENGINE_MEMORY, ENGINE_RUN, innerPid, keepKernelNotes } from './criu.js';
import type { EngineGpu, ReleaseStage } from './engine-gpu.js';
import type { FileDigests } from './file-digests.js';
import type { EngineDescription } from './identity.js';
import type { FileFacts, SnapshotIdentity, SnapshotManifest } from './manifest.js';
import { moveIntoMemoryFile } from './memory-file.js';
import { anonymousBytes, CapturableProcess, mappedFilesOf, openSockets, seatOf } from './processes.js';

export interface CaptureOptions {
  readonly criu: Criu;
  readonly engine: EngineDescription;
  readonly identity: SnapshotIdentity;
  readonly digests: FileDigests;
  /**
   * What is drawn before the capture. Default: one picture of the model's default size. More sizes have not paid:
   * see docs/snapshots.md.
   */
  readonly warmUps?: (card: ModelCard) => RenderItem[];
  /** What is run as the engine, for tests. Default: the engine. */
  readonly program?: string | undefined;
  /** The GPU that the engine is on. */
  readonly gpu?: EngineGpu | undefined;
  /** Hears how far it is, for measurements. @param pid of the engine */
  readonly onStage?: (stage: CaptureStage, pid: number) => Promise<void> | void;
  /** Milliseconds until a capture has failed. Default: 120,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly log: Logger;
}

/** What is done: the engine draws; is ready; CUDA calls wait; the device is given back; images are written; are edited. */
export type CaptureStage = 'warm' | 'prepared' | ReleaseStage | 'dumped' | 'edited';

/** Images of a snapshot lie in this folder of it. */
export const IMAGES = 'images';
const TIMEOUT_MS = 120_000;

/** The picture that is drawn before a capture: nobody's prompt. */
export function warmUpOf(card: ModelCard): RenderItem[] {
  const { defaultWidth: width, defaultHeight: height, defaultSteps: steps } = card;
  return [{ index: 0, prompt: 'a red apple', width, height, steps, seed: 1 }];
}

/**
 * Starts an engine for this one purpose, so that no job's prompt has ever been in it, warms it and captures it.
 * @param folder the snapshot's, which is there and empty
 * @throws what the engine reports; SnapshotInvalid where CRIU can't capture it
 */
export async function captureSnapshot(folder: string, options: CaptureOptions): Promise<SnapshotManifest> {
  const { criu, engine, identity, digests, program, gpu, log } = options;
  const { onStage = () => {} } = options;
  const deadline = performance.now() + (options.timeoutMs ?? TIMEOUT_MS);
  const images = join(folder, IMAGES);
  await mkdir(images, { mode: 0o700 });
  const process = await CapturableProcess.spawn({
    criu,
    arguments: { ...engine, logLevel: log.level === 'silent' ? 'silent' : 'warn' },
    program,
    log,
  });
  const late = setTimer(() => process.kill(), deadline - performance.now());
  const abort = () => void process.kill();
  options.signal?.addEventListener('abort', abort);
  try {
    const stage = async (name: CaptureStage) => onStage(name, pidOf(process));
    const hello = await prepare(process, deadline, options.warmUps ?? warmUpOf, stage);
    const pid = pidOf(process);
    await stage('prepared');
    const released = (await gpu?.release(pid, deadline, stage)) ?? null;
    const mappedFiles = await factsOf(
      (await mappedFilesOf(pid)).filter((file) => !file.startsWith(`${ENGINE_RUN}/`)),
      digests,
    );
    const anonymous = await anonymousBytes(pid);
    const seat = seatOf(engine.device);
    const number = await innerPid(pid);
    await dump(criu, pid, images, process.folder, { seat, signal: options.signal });
    await stage('dumped');
    await keepKernelNotes(criu, process.folder);
    const { mappedBytes, copiedBytes } = await moveIntoMemoryFile(images, ENGINE_MEMORY, number);
    await stage('edited');
    return {
      format: 1,
      id: randomUUID(),
      capturedAt: new Date().toISOString(),
      identity,
      graphDigest: hello.graphDigest,
      criu: criu.version,
      glibc: glibcVersion(),
      gpu: released,
      mappedFiles,
      images: await imageFacts(images, digests),
      memory: { anonymousBytes: anonymous, mappedBytes, copiedBytes },
    };
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(late);
    options.signal?.removeEventListener('abort', abort);
    await process.kill();
  }
}

const CLOSING_PAUSE_MS = 5;

function pidOf(process: CapturableProcess): number {
  const { pid } = process;
  if (pid === undefined) throw new SnapshotInvalid('expected an engine to capture, it is gone');
  return pid;
}

/** Warms the engine and puts it to sleep; when this returns, its connection is about to be closed. */
async function prepare(
  process: CapturableProcess,
  deadline: number,
  warmUps: (card: ModelCard) => RenderItem[],
  onStage: (stage: CaptureStage) => Promise<void>,
): Promise<Hello> {
  const socket = await process.connect(deadline);
  const frames = readFrames(socket);
  const say = (message: ParentMessage) => {
    for (const part of encodeFrame(message)) socket.write(part);
  };
  /** The next message of that type. */
  const hear = async <T extends EngineMessage['type']>(
    type: T,
  ): Promise<Extract<EngineMessage, { type: T }>> => {
    for (;;) {
      const frame = await frames.next().catch(() => undefined);
      if (!frame || frame.done) {
        await process.kill();
        if (performance.now() >= deadline)
          throw new EngineStalled(`the engine was not ready to be captured in time`);
        throw await process.obituary('while it was made ready to be captured');
      }
      const message = EngineMessage.parse(frame.value.header);
      if (message.type === type) return message as Extract<EngineMessage, { type: T }>;
      if (message.type === 'failed') {
        throw new SnapshotInvalid(
          `the engine that was to be captured failed: ${message.message} [code=${message.code}]`,
        );
      }
    }
  };
  try {
    const hello = await hear('hello');
    for (const [id, item] of warmUps(hello.model).entries()) {
      say({ type: 'render', id, items: [item], previews: false });
      await hear('done');
    }
    await onStage('warm');
    say({ type: 'prepare' });
    await hear('prepared');
    const pid = pidOf(process);
    // A GPU's driver may have sockets of its own.
    const sockets = await openSockets(pid);
    socket.destroy();
    while ((await openSockets(pid)) >= sockets) {
      if (performance.now() >= deadline)
        throw new EngineStalled(`the engine did not close its connection in time [engine=${pid}]`);
      await setTimeout(CLOSING_PAUSE_MS);
    }
    return hello;
  } finally {
    socket.destroy();
  }
}

async function factsOf(files: readonly string[], digests: FileDigests): Promise<Record<string, FileFacts>> {
  const facts: Record<string, FileFacts> = {};
  for (const file of files) facts[file] = await digests.facts(file);
  return facts;
}

/** Size and digest of every image, all of them on the disk for good. */
async function imageFacts(images: string, digests: FileDigests): Promise<Record<string, FileFacts>> {
  const facts: Record<string, FileFacts> = {};
  for (const name of (await readdir(images)).sort()) {
    const path = join(images, name);
    await chmod(path, 0o600);
    const file = await open(path, 'r');
    await file.sync();
    await file.close();
    facts[name] = await digests.facts(path);
  }
  await syncFolder(images);
  return facts;
}

function glibcVersion(): string {
  const report = process.report?.getReport() as unknown as
    | { header?: { glibcVersionRuntime?: string } }
    | undefined;
  return report?.header?.glibcVersionRuntime ?? 'unknown';
}

function setTimer(work: () => void, milliseconds: number): NodeJS.Timeout {
  return globalThis.setTimeout(work, Math.max(0, milliseconds));
}

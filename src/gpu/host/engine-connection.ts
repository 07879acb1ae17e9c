import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineCrashed, EngineStalled, errorOfType, type RenderError } from '../../contract/errors.js';
import { ONCE } from '../../contract/parse-once.js';
import { EngineMessage, type ParentMessage, type Stats } from '../engine/protocol.js';
import { encodeFrame, type Frame, readFrames } from '../frames.js';
import type { LoadedEngine, RenderedImage, RenderOptions } from '../host.js';
import { within } from '../within.js';
import type { EngineProcess } from './engine-process.js';

export interface ConnectionOptions {
  /** How long an engine at work may say nothing before it counts as stalled, in milliseconds. */
  readonly stallMs: number;
  /** How long a cancelled render may go on before the engine is killed, in milliseconds. */
  readonly cancelGraceMs: number;
  /** Called once, before the renders under way hear of it, when process and conversation are over. */
  readonly onLost: (connection: EngineConnection, reason: RenderError) => void;
}

interface Waiting {
  readonly resolve: (images: RenderedImage[]) => void;
  readonly reject: (error: unknown) => void;
  readonly options: RenderOptions;
  readonly images: RenderedImage[];
  heardAt: number;
}

/** What is answered by one message. */
type Answer = Extract<EngineMessage, { type: 'stats' | 'released' | 'resumed' }>;

interface Question {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** A loaded engine and the conversation with it. */
export class EngineConnection {
  readonly #renders = new Map<number, Waiting>();
  readonly #questions = new Map<number, Question>();
  #nextId = 1;
  #end: RenderError | undefined;
  /** Resolves when process and conversation are over. */
  readonly #listening: Promise<void>;
  /** Why we killed it. */
  #verdict: RenderError | undefined;

  private constructor(
    private readonly socket: Socket,
    private readonly process: EngineProcess,
    private greeting: LoadedEngine,
    frames: AsyncGenerator<Frame>,
    private readonly options: ConnectionOptions,
  ) {
    this.#listening = this.#listen(frames);
  }

  /** How it greeted, or last resumed. */
  get hello(): LoadedEngine {
    return this.greeting;
  }

  /** Why process and conversation are over; undefined while they are not. */
  get end(): RenderError | undefined {
    return this.#end;
  }

  /**
   * Waits for the engine to load its model.
   * @param deadline in `performance.now()`'s milliseconds
   * @throws the error that the engine reports instead of a greeting; EngineCrashed; EngineStalled
   */
  static async greet(
    process: EngineProcess,
    deadline: number,
    options: ConnectionOptions,
  ): Promise<EngineConnection> {
    const socket = await process.connect(deadline);
    const frames = readFrames(socket);
    const first = await within(frames.next(), deadline - performance.now(), () => {
      return new EngineStalled(`the engine did not load its model in time [engine=${process.pid}]`);
    });
    if (first.done) {
      await process.kill();
      throw await process.obituary('while it loaded its model');
    }
    const message = EngineMessage.parse(first.value.header, ONCE);
    if (message.type === 'failed') throw failure(message.code, message.message);
    if (message.type !== 'hello')
      throw new EngineCrashed(`expected hello from the engine, got ${message.type}`);
    // An engine in a namespace of its own does not know the number that we know it by.
    const hello = { ...message, pid: process.pid ?? message.pid, readyAt: Date.now() };
    return new EngineConnection(socket, process, hello, frames, options);
  }

  async render(options: RenderOptions): Promise<RenderedImage[]> {
    if (this.#end) throw this.#end;
    const id = this.#nextId++;
    const { signal } = options;
    let cancelTimer: NodeJS.Timeout | undefined;
    const cancel = () => {
      this.#send({ type: 'cancel', id });
      cancelTimer = setTimeout(
        () =>
          this.#kill(
            new EngineStalled(
              `the engine did not stop a cancelled render in time [engine=${this.process.pid}]`,
            ),
          ),
        this.options.cancelGraceMs,
      );
    };
    const watch = setInterval(() => this.#watch(id), Math.max(10, this.options.stallMs / 4));
    try {
      return await new Promise<RenderedImage[]>((resolve, reject) => {
        this.#renders.set(id, { resolve, reject, options, images: [], heardAt: performance.now() });
        const { items, previews = false, about } = options;
        this.#send({ type: 'render', id, items: [...items], previews, ...(about && { about }) });
        signal?.addEventListener('abort', cancel, { once: true });
      });
    } catch (error) {
      // Whatever the engine made of it: the caller has asked for this end.
      throw signal?.aborted ? signal.reason : error;
    } finally {
      clearInterval(watch);
      clearTimeout(cancelTimer);
      this.#renders.delete(id);
      signal?.removeEventListener('abort', cancel);
    }
  }

  stats(): Promise<Stats> {
    return this.#ask('stats', 'stats');
  }

  /**
   * Has the engine give its device's memory back, when its renders are over. One that does not in time is killed.
   * @returns bytes of weights
   * @throws why the engine is lost
   */
  async release(): Promise<number> {
    return (await this.#inTime(this.#ask('release', 'released'))).bytes;
  }

  /**
   * Has the engine take that memory again. One that does not in time is killed.
   * @throws OutOfMemory where there is none, and it stays released; else why the engine is lost
   */
  async resume(): Promise<void> {
    const began = performance.now();
    const { batchMemory } = await this.#inTime(this.#ask('resume', 'resumed'));
    this.greeting = {
      ...this.greeting,
      start: 'resumed',
      loadMs: performance.now() - began,
      readyAt: Date.now(),
      ...(batchMemory && { batchMemory }),
    };
  }

  /** Whether an engine without work still answers; one that does not is killed. */
  async checkHealth(): Promise<void> {
    await this.#inTime(this.stats()).catch(() => {});
  }

  async #ask<T extends Answer['type']>(
    type: 'stats' | 'release' | 'resume',
    answer: T,
  ): Promise<Extract<Answer, { type: T }>> {
    if (this.#end) throw this.#end;
    const id = this.#nextId++;
    try {
      const got = await new Promise<Answer>((resolve, reject) => {
        this.#questions.set(id, { resolve, reject });
        this.#send({ type, id });
      });
      if (got.type !== answer) throw new EngineCrashed(`expected ${answer} from the engine, got ${got.type}`);
      return got as Extract<Answer, { type: T }>;
    } finally {
      this.#questions.delete(id);
    }
  }

  /** Waits for an answer of an engine that has nothing to do, and kills one that gives none. */
  async #inTime<T>(answer: Promise<T>): Promise<T> {
    const { pid } = this.process;
    const { stallMs } = this.options;
    const stalled = () => new EngineStalled(`the engine has not answered for ${stallMs} ms [engine=${pid}]`);
    try {
      return await within(answer, stallMs, stalled);
    } catch (error) {
      if (error instanceof EngineStalled) await this.abandon(error);
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.process.stop();
    await this.#listening;
  }

  /** Kills the engine; resolves when `onLost` was called with that reason. */
  async abandon(reason: RenderError): Promise<void> {
    this.#kill(reason);
    await this.#listening;
  }

  #watch(id: number): void {
    const waiting = this.#renders.get(id);
    const { stallMs } = this.options;
    if (!waiting || performance.now() - waiting.heardAt < stallMs) return;
    this.#kill(
      new EngineStalled(`the engine has said nothing for ${stallMs} ms [engine=${this.process.pid}]`),
    );
  }

  #kill(verdict: RenderError): void {
    this.#verdict ??= verdict;
    void this.process.kill();
  }

  async #listen(frames: AsyncGenerator<Frame>): Promise<void> {
    let cause: unknown;
    try {
      for await (const { header, body } of frames) this.#take(EngineMessage.parse(header), body);
    } catch (error) {
      cause = error;
    }
    // Without a conversation the process is of no use; what killed it by itself is about to be known.
    await Promise.race([this.process.ended, sleep(LAST_WORDS_MS, undefined, { ref: false })]);
    await this.process.kill();
    const error = this.#verdict ?? (await this.process.obituary('in mid-work', cause));
    this.#end = error;
    this.options.onLost(this, error);
    for (const waiting of [...this.#renders.values(), ...this.#questions.values()]) waiting.reject(error);
  }

  #take(message: EngineMessage, body: Buffer): void {
    if (message.type === 'hello' || message.type === 'prepared') return;
    if (message.type === 'failed' && message.id === undefined) {
      // Its last words: it ends after them, and whatever it was doing failed for that reason.
      this.#verdict ??= failure(message.code, message.message);
    }
    if (message.id === undefined) return;
    if (message.type === 'stats' || message.type === 'released' || message.type === 'resumed') {
      this.#questions.get(message.id)?.resolve(message);
      return;
    }
    if (message.type === 'failed') {
      this.#questions.get(message.id)?.reject(failure(message.code, message.message));
    }
    const waiting = this.#renders.get(message.id);
    if (!waiting) return;
    waiting.heardAt = performance.now();
    advance(waiting, message, body, this.hello);
  }

  #send(message: ParentMessage): void {
    for (const part of encodeFrame(message)) this.socket.write(part);
  }
}

/** A socket closes a moment before its process is gone. */
const LAST_WORDS_MS = 1_000;

/** What one of the engine's messages means to the render that it answers. */
function advance(
  { options, images, resolve, reject }: Waiting,
  message: Extract<EngineMessage, { type: 'step' | 'image' | 'done' | 'failed' }>,
  body: Buffer,
  engine: LoadedEngine,
): void {
  switch (message.type) {
    case 'step': {
      const { index, seed, step, of, preview } = message;
      options.onStep?.({ index, seed, step, of }, preview && { ...preview, pixels: body });
      break;
    }
    case 'image': {
      const { index, seed, width, height, stages, inTiles } = message;
      images.push({
        index,
        seed,
        width,
        height,
        stages,
        ...(inTiles && { inTiles }),
        modelDigest: engine.model.digest,
        engine,
        pixels: body,
      });
      break;
    }
    case 'done':
      resolve(images);
      break;
    case 'failed':
      reject(failure(message.code, message.message));
      break;
  }
}

function failure(code: string, message: string): RenderError {
  return errorOfType(code, message) ?? new EngineCrashed(`${message} [code=${code}]`);
}

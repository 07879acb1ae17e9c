import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { EngineCrashed, EngineStalled, errorOfType, type RenderError } from '../contract/errors.js';
import type { RenderItem, RenderStages, StepProgress } from '../contract/job.js';
import type { EngineArguments } from './engine/arguments.js';
import { encodeFrame, readFrames } from './engine/frames.js';
import { EngineMessage, type Hello, type ParentMessage, type Stats } from './engine/protocol.js';

export interface EngineHostOptions {
  /** The checkpoint's folder. */
  readonly checkpoint: string;
  /** The model's name, as requests and queues have it. */
  readonly model: string;
  readonly device: 'cpu';
  /** Where built graphs and digests are kept between lives. */
  readonly cacheFolder: string;
  /** Threads of the CPU runtime. Default: all that the machine offers. */
  readonly threads?: number;
  /** How long a start may take, in milliseconds. Default: 120,000. */
  readonly startTimeoutMs?: number;
  readonly log: Logger;
}

export interface RenderOptions {
  /** One batch: all share width, height and steps. */
  readonly items: readonly RenderItem[];
  readonly onStep?: (progress: StepProgress) => void;
  /** Aborting stops the render before its next step; `render` then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface RenderedImage {
  readonly index: number;
  readonly seed: number;
  readonly width: number;
  readonly height: number;
  /** width × height × 3 bytes, 8-bit RGB, rows from the top. */
  readonly pixels: Buffer;
  readonly stages: RenderStages;
}

/**
 * The worker's side of one engine process: starts it at the first call, watches it, and starts another one
 * where it died. Renders one batch at a time; further calls wait.
 */
export interface EngineHost extends AsyncDisposable {
  /** Starts the engine if none runs. @throws CheckpointInvalid, EngineCrashed, EngineStalled */
  ready(): Promise<Hello>;
  /** @throws the `RenderError` that the engine reports; EngineCrashed when it dies on the way */
  render(options: RenderOptions): Promise<RenderedImage[]>;
  stats(): Promise<Stats>;
  /** Ends the engine. Idempotent. */
  close(): Promise<void>;
}

export function createEngineHost(options: EngineHostOptions): EngineHost {
  return new Host(options);
}

class Host implements EngineHost {
  #engine: Promise<Engine> | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(private readonly options: EngineHostOptions) {}

  async ready(): Promise<Hello> {
    return (await this.#running()).hello;
  }

  render(options: RenderOptions): Promise<RenderedImage[]> {
    const rendered = this.#turn.then(async () => {
      options.signal?.throwIfAborted();
      return (await this.#running()).render(options);
    });
    this.#turn = rendered.catch(() => {});
    return rendered;
  }

  async stats(): Promise<Stats> {
    return (await this.#running()).stats();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const engine = await this.#engine?.catch(() => undefined);
    await engine?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #running(): Promise<Engine> {
    if (this.#closed) throw new EngineCrashed('the engine host is closed');
    if (this.#engine) return this.#engine;
    const starting = startEngine(this.options);
    this.#engine = starting;
    const forget = () => {
      if (this.#engine === starting) this.#engine = undefined;
    };
    starting.then((engine) => engine.ended.then(forget), forget);
    return starting;
  }
}

const ENGINE_MAIN = fileURLToPath(new URL('./engine/main.js', import.meta.url));
const START_TIMEOUT_MS = 120_000;
/** An engine that was asked to end has nothing to save: it gets this long, then SIGKILL. */
const STOP_GRACE_MS = 2_000;
const CONNECT_PAUSE_MS = 10;
const LAST_LINES = 20;

async function startEngine(options: EngineHostOptions): Promise<Engine> {
  // A socket's path has at most 107 bytes, so it can't lie in a folder of the user's choice.
  const folder = await mkdtemp(join(tmpdir(), 'tdiff-'));
  const socketPath = join(folder, 'engine.sock');
  const engineArguments: EngineArguments = {
    checkpoint: options.checkpoint,
    model: options.model,
    device: options.device,
    threads: options.threads ?? availableParallelism(),
    cacheFolder: options.cacheFolder,
    socket: socketPath,
    logLevel: options.log.level,
  };
  const child = spawn(process.execPath, [ENGINE_MAIN, JSON.stringify(engineArguments)], {
    stdio: ['pipe', 'ignore', 'pipe'],
    // ONNX Runtime reads its opt-out from telemetry when it is loaded, before any code of ours runs.
    env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
  });
  const life = new EngineLife(child, options.log);
  void life.ended.then(() => rm(folder, { recursive: true, force: true }));
  try {
    const deadline = performance.now() + (options.startTimeoutMs ?? START_TIMEOUT_MS);
    const socket = await connectTo(socketPath, life, deadline);
    return await Engine.greet(socket, life, deadline);
  } catch (error) {
    await life.kill();
    throw error;
  }
}

async function connectTo(path: string, life: EngineLife, deadline: number): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return socket;
    } catch {
      socket.destroy();
    }
    if (life.isOver) throw life.obituary('while it started');
    if (performance.now() > deadline) throw new EngineStalled('the engine did not open its socket in time');
    await setTimeout(CONNECT_PAUSE_MS);
  }
}

/** The process: whether it lives, what it said last, how it ended. */
class EngineLife {
  /** Resolves when the process is gone and its last words are read. */
  readonly ended: Promise<void>;
  #lines: string[] = [];
  #isOver = false;

  constructor(
    private readonly child: ChildProcess,
    private readonly log: Logger,
  ) {
    this.ended = new Promise((resolve) => {
      const end = () => {
        this.#isOver = true;
        resolve();
      };
      child.once('close', end);
      child.once('error', end);
    });
    child.stdin?.on('error', () => {});
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Its end as an error. */
  obituary(when: string): EngineCrashed {
    const { exitCode, signalCode, pid } = this.child;
    const how = signalCode ? `signal=${signalCode}` : `exit=${exitCode}`;
    const words = this.#lines.length > 0 ? `; its last lines:\n${this.#lines.join('\n')}` : '';
    return new EngineCrashed(`the engine ended ${when} [engine=${pid}, ${how}]${words}`);
  }

  /** The engine ends with its standard input. */
  async stop(): Promise<void> {
    this.child.stdin?.end();
    const patience = new AbortController();
    await Promise.race([
      this.ended,
      setTimeout(STOP_GRACE_MS, undefined, { signal: patience.signal }).catch(() => {}),
    ]);
    patience.abort();
    await this.kill();
  }

  async kill(): Promise<void> {
    if (!this.#isOver) this.child.kill('SIGKILL');
    await this.ended;
  }

  /** What an engine writes are pino's lines; they go where the host's go. */
  #hear(text: string): void {
    process.stderr.write(this.log.level === 'silent' ? '' : text);
    this.#lines = [...this.#lines, ...text.split('\n').filter((line) => line.trim() !== '')].slice(
      -LAST_LINES,
    );
  }
}

interface Waiting {
  readonly resolve: (images: RenderedImage[]) => void;
  readonly reject: (error: unknown) => void;
  readonly options: RenderOptions;
  readonly images: RenderedImage[];
}

/** A loaded engine and the conversation with it. */
class Engine {
  readonly #renders = new Map<number, Waiting>();
  readonly #stats = new Map<number, { resolve: (stats: Stats) => void; reject: (error: unknown) => void }>();
  #nextId = 1;

  private constructor(
    private readonly socket: Socket,
    private readonly life: EngineLife,
    readonly hello: Hello,
  ) {}

  get ended(): Promise<void> {
    return this.life.ended;
  }

  /** @throws the error that the engine reports instead of a greeting; EngineCrashed; EngineStalled */
  static async greet(socket: Socket, life: EngineLife, deadline: number): Promise<Engine> {
    const frames = readFrames(socket);
    const patience = new AbortController();
    const late = setTimeout(Math.max(0, deadline - performance.now()), undefined, {
      signal: patience.signal,
    }).then(() => {
      throw new EngineStalled(`the engine did not load its model in time [engine=${life.pid}]`);
    });
    const first = await Promise.race([frames.next(), late]).finally(() => {
      patience.abort();
      late.catch(() => {});
    });
    if (first.done) {
      await life.ended;
      throw life.obituary('while it loaded its model');
    }
    const message = EngineMessage.parse(first.value.header);
    if (message.type === 'failed') throw failure(message.code, message.message);
    if (message.type !== 'hello')
      throw new EngineCrashed(`expected hello from the engine, got ${message.type}`);
    const engine = new Engine(socket, life, message);
    void engine.#listen(frames);
    return engine;
  }

  render(options: RenderOptions): Promise<RenderedImage[]> {
    const id = this.#nextId++;
    const cancel = () => this.#send({ type: 'cancel', id });
    const rendered = new Promise<RenderedImage[]>((resolve, reject) => {
      this.#renders.set(id, { resolve, reject, options, images: [] });
      this.#send({ type: 'render', id, items: [...options.items] });
      options.signal?.addEventListener('abort', cancel, { once: true });
    });
    return rendered.finally(() => {
      this.#renders.delete(id);
      options.signal?.removeEventListener('abort', cancel);
    });
  }

  stats(): Promise<Stats> {
    const id = this.#nextId++;
    return new Promise<Stats>((resolve, reject) => {
      this.#stats.set(id, { resolve, reject });
      this.#send({ type: 'stats', id });
    }).finally(() => this.#stats.delete(id));
  }

  async stop(): Promise<void> {
    await this.life.stop();
  }

  async #listen(frames: AsyncGenerator<{ header: unknown; body: Buffer }>): Promise<void> {
    let cause: unknown;
    try {
      for await (const { header, body } of frames) this.#take(EngineMessage.parse(header), body);
    } catch (error) {
      cause = error;
    }
    // Without a conversation the process is of no use, if it is still there at all.
    await this.life.kill();
    const error = this.life.obituary('in mid-work');
    error.cause = cause;
    for (const waiting of [...this.#renders.values(), ...this.#stats.values()]) waiting.reject(error);
  }

  #take(message: EngineMessage, body: Buffer): void {
    if (message.type === 'hello' || message.id === undefined) return;
    if (message.type === 'stats') {
      this.#stats.get(message.id)?.resolve(message);
      return;
    }
    const waiting = this.#renders.get(message.id);
    if (waiting) advance(waiting, message, body);
  }

  #send(message: ParentMessage): void {
    for (const part of encodeFrame(message)) this.socket.write(part);
  }
}

/** What one of the engine's messages means to the render that it answers. */
function advance(
  { options, images, resolve, reject }: Waiting,
  message: Extract<EngineMessage, { type: 'step' | 'image' | 'done' | 'failed' }>,
  body: Buffer,
): void {
  switch (message.type) {
    case 'step': {
      const { index, seed, step, of } = message;
      options.onStep?.({ index, seed, step, of });
      break;
    }
    case 'image': {
      const { index, seed, width, height, stages } = message;
      images.push({ index, seed, width, height, stages, pixels: body });
      break;
    }
    case 'done':
      resolve(images);
      break;
    case 'failed': {
      const cancelled = message.code === 'Cancelled' && options.signal?.aborted;
      reject(cancelled ? options.signal?.reason : failure(message.code, message.message));
      break;
    }
  }
}

function failure(code: string, message: string): RenderError {
  return errorOfType(code, message) ?? new EngineCrashed(`${message} [code=${code}]`);
}

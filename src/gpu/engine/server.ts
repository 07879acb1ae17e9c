import { createServer, type Server, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Logger } from 'pino';
import { CheckpointInvalid, InvalidRequest, OutOfMemory, RenderError } from '../../contract/errors.js';
import { encodeFrame, readFrames } from '../frames.js';
import type { DeviceMemory } from '../runtime/session.js';
import type { Pipeline } from './pipeline.js';
import { type EngineMessage, type Hello, ParentMessage } from './protocol.js';

/** Reason of an abort that the parent asked for. */
class Cancelled extends Error {}

type WakeMessage = Extract<ParentMessage, { type: 'wake' }>;

export interface ServerHooks {
  /** Called when the engine has given its memory back. */
  released(): void;
  /** Called when the engine has taken its memory again, and weights are on their way. */
  resumed(): void;
  /** Makes an engine that was restored one of its own; what it returns is its greeting. */
  wake(message: WakeMessage): Promise<Hello>;
}

interface Loaded {
  readonly pipeline: Pipeline;
  hello: Hello;
  readonly hooks: ServerHooks;
}

/**
 * Serves one pipeline to one parent at a time. It listens before the model is loaded and says `hello` when it is,
 * so that a parent needs no second way to learn that loading failed.
 */
export class EngineServer {
  readonly #server: Server;
  readonly #connections = new Set<Socket>();
  readonly #aborts = new Map<number, AbortController>();
  #loaded: Loaded | undefined;
  /** Prepared to be captured, and not woken yet. */
  #isAsleep = false;
  #isReleased = false;
  #break: (reason: unknown) => void = () => {};
  readonly #broken = new Promise<never>((_, reject) => {
    this.#break = reject;
  });
  /** Renders wait for each other: one model, one device. */
  #turn: Promise<void> = Promise.resolve();
  #rendered = 0;

  constructor(private readonly log: Logger) {
    this.#server = createServer((socket) => this.#serve(socket));
    this.#broken.catch(() => {});
  }

  /** Never resolves. Rejects when the pipeline can't be used any more, with what kept it from releasing or resuming. */
  broken(): Promise<never> {
    return this.#broken;
  }

  /** @param path of the Unix socket, which must not exist yet */
  async listen(path: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
  }

  /** From now on the engine can render. */
  open(pipeline: Pipeline, hello: Hello, hooks: ServerHooks): void {
    this.#loaded = { pipeline, hello, hooks };
    for (const socket of this.#connections) send(socket, hello);
  }

  /** Tells the parent, now or when it connects, why there will be no engine, or none any more; resolves when it was told. */
  async fail(error: unknown): Promise<void> {
    const message: EngineMessage = { type: 'failed', ...describe(error) };
    const [present] = this.#connections;
    const socket =
      present ?? (await new Promise<Socket>((resolve) => this.#server.once('connection', resolve)));
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve());
      send(socket, message);
      socket.end();
    });
  }

  #serve(socket: Socket): void {
    this.#connections.add(socket);
    socket.on('error', (error) => this.log.debug({ err: error }, 'connection lost'));
    socket.on('close', () => {
      this.#connections.delete(socket);
      // Nobody is left to take the pictures.
      for (const abort of this.#aborts.values()) abort.abort(new Cancelled('the parent is gone'));
    });
    if (this.#loaded && !this.#isAsleep) send(socket, this.#loaded.hello);
    void this.#read(socket).catch((error: unknown) => {
      this.log.error({ err: error }, 'connection closed: not a message of the engine protocol');
      socket.destroy();
    });
  }

  async #read(socket: Socket): Promise<void> {
    for await (const { header } of readFrames(socket)) {
      const message = ParentMessage.parse(header);
      switch (message.type) {
        case 'render':
          this.#turn = this.#turn.then(() => this.#render(socket, message));
          break;
        case 'cancel':
          this.#abortOf(message.id).abort(new Cancelled('the parent cancelled'));
          break;
        case 'release':
          this.#turn = this.#turn.then(() => this.#release(socket, message.id));
          break;
        case 'resume':
          this.#turn = this.#turn.then(() => this.#resume(socket, message.id));
          break;
        case 'prepare':
          await this.#turn;
          await this.#prepare();
          send(socket, { type: 'prepared' });
          break;
        case 'wake':
          await this.#wake(socket, message);
          break;
        case 'stats':
          this.#tellStats(socket, message.id);
          break;
      }
    }
  }

  async #release(socket: Socket, id: number): Promise<void> {
    const began = performance.now();
    try {
      const { pipeline, hooks } = this.#expectLoaded('release');
      this.#isReleased = true;
      const { bytes, kept } = await pipeline.release();
      if (kept !== undefined) this.log.warn({ why: kept }, 'memory of earlier renders is not given back');
      this.log.info({ bytes, ms: Math.round(performance.now() - began) }, 'memory given back');
      send(socket, { type: 'released', id, bytes });
      hooks.released();
    } catch (error) {
      // Who knows what it still has: with the process it goes for sure.
      this.#break(error);
    }
  }

  async #resume(socket: Socket, id: number): Promise<void> {
    const began = performance.now();
    try {
      const { pipeline, hooks } = this.#expectLoaded('resume');
      await pipeline.resume();
      this.#isReleased = false;
      const { batchMemory } = pipeline;
      this.log.info({ ms: Math.round(performance.now() - began) }, 'memory taken again');
      send(socket, { type: 'resumed', id, ...(batchMemory && { batchMemory }) });
      hooks.resumed();
    } catch (error) {
      // Somebody else has the memory, and may give it back: for all else a new engine is the remedy.
      if (error instanceof OutOfMemory) send(socket, { type: 'failed', id, ...describe(error) });
      else this.#break(error);
    }
  }

  /** @throws InvalidRequest before the model is loaded */
  #expectLoaded(what: string): Loaded {
    if (!this.#loaded) throw new InvalidRequest(`expected ${what} only after hello`);
    return this.#loaded;
  }

  /** To an engine without work this is the question whether its device is still there. */
  #tellStats(socket: Socket, id: number): void {
    let deviceMemory: DeviceMemory | undefined;
    try {
      // Asleep it has no device, and a call to the driver would wait for one.
      if (!this.#isAsleep) deviceMemory = this.#loaded?.pipeline.deviceMemory();
    } catch (error) {
      // Where the device is lost, whoever waits for that ends the engine.
      this.log.warn({ err: error }, 'the device does not tell its memory');
    }
    send(socket, {
      type: 'stats',
      id,
      rssBytes: process.memoryUsage.rss(),
      rendered: this.#rendered,
      ...(deviceMemory && { deviceMemory }),
    });
  }

  /** From here on nothing happens until it is woken: no timer runs, and no garbage is left to be captured. */
  async #prepare(): Promise<void> {
    const { pipeline } = this.#expectLoaded('prepare');
    this.#isAsleep = true;
    await pipeline.release();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    // Finalisers of the first round make more garbage.
    collect();
    collect();
    // Nor what was freed: 6 to 8 % of the bundled model's weights lay there, from before ONNX Runtime widened them.
    const { default: koffi } = await import('koffi');
    koffi.load(null).func('int malloc_trim(size_t pad)')(0);
  }

  async #wake(socket: Socket, message: WakeMessage): Promise<void> {
    if (!this.#loaded || !this.#isAsleep) throw new InvalidRequest('expected wake only after prepare');
    // Whoever wakes it is its parent, and it ends with its parent.
    socket.once('close', () => process.exit(0));
    try {
      this.#loaded.hello = await this.#loaded.hooks.wake(message);
    } catch (error) {
      this.log.error({ err: error }, 'engine can not be woken');
      // Its last words: the socket's end is its own.
      send(socket, { type: 'failed', ...describe(error) });
      socket.end();
      return;
    }
    this.#isAsleep = false;
    this.#isReleased = false;
    this.#rendered = 0;
    send(socket, this.#loaded.hello);
  }

  /** A cancel may come before its render had its turn. */
  #abortOf(id: number): AbortController {
    const known = this.#aborts.get(id);
    if (known) return known;
    const abort = new AbortController();
    this.#aborts.set(id, abort);
    return abort;
  }

  async #render(
    socket: Socket,
    { id, items, previews, about }: Extract<ParentMessage, { type: 'render' }>,
  ): Promise<void> {
    const { signal } = this.#abortOf(id);
    const began = performance.now();
    try {
      const { pipeline } = this.#expectLoaded('renders');
      // Whether there is room for it is its parent's to know.
      if (this.#isReleased) throw new InvalidRequest('expected resume before a render, after a release');
      const images = await pipeline.render(items, {
        signal,
        previews,
        onStep(progress, preview) {
          const size = preview && { preview: { width: preview.width, height: preview.height } };
          send(socket, { type: 'step', id, ...progress, ...size }, preview?.pixels);
        },
      });
      for (const { item, pixels, stages, inTiles } of images) {
        const { index, seed, width, height } = item;
        const tiled = inTiles && ({ inTiles } as const);
        send(socket, { type: 'image', id, index, seed, width, height, stages, ...tiled }, pixels);
        if (inTiles) {
          this.log.warn(
            { ...about, render: id, index },
            'too little device memory: decoded in tiles, which changes a picture',
          );
        }
      }
      send(socket, { type: 'done', id });
      this.#rendered += items.length;
      this.log.info(
        { ...about, render: id, items: items.length, ms: Math.round(performance.now() - began) },
        'rendered',
      );
    } catch (error) {
      send(socket, { type: 'failed', id, ...describe(error) });
      if (!(error instanceof Cancelled)) this.log.warn({ ...about, render: id, err: error }, 'render failed');
    } finally {
      this.#aborts.delete(id);
    }
  }
}

function send(socket: Socket, message: EngineMessage, body?: Uint8Array): void {
  // Also not to one that `fail` has said its last words to.
  if (!socket.writable) return;
  for (const part of encodeFrame(message, body)) socket.write(part);
}

function describe(error: unknown): { code: string; message: string } {
  if (error instanceof Cancelled) return { code: 'Cancelled', message: error.message };
  if (error instanceof RenderError) return { code: error.type, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  // ONNX Runtime reports a failed allocation in words only, and a tensor that has more elements than it can count.
  if (/bad_alloc|[Ff]ailed to allocate|[Aa]llocation failed|out of memory|exceeds int range/.test(message)) {
    return { code: OutOfMemory.type, message };
  }
  // So it does with weights that it can't map.
  if (/external data|external initializer|out of bounds|file_length/i.test(message)) {
    return { code: CheckpointInvalid.type, message };
  }
  return { code: 'Internal', message };
}

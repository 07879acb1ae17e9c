import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { userId } from '../../storage/private-folder.js';
import { encodeFrame, readFrames } from '../frames.js';
import type { DeviceFacts } from '../runtime/cuda/driver.js';
import {
  type LentPiece,
  type LentWeights,
  type WantedWeights,
  type WeightSource,
  weightsKey,
} from '../runtime/cuda/weight-source.js';
import { within } from '../within.js';
import { closeDescriptors, descriptorOf, peerOf, receiveDescriptors } from './descriptor-passing.js';
import {
  AnyHello,
  type ClientMessage,
  KEEPER_PROTOCOL,
  KeeperMessage,
  type KeeperStats,
  type PreparedCheckpoint,
} from './protocol.js';

/** A keeper can't be used: weights are streamed without it. */
export class KeeperUnusable extends Error {
  override readonly name = 'KeeperUnusable';
}

/** A keeper speaks another version of the protocol. */
export class KeeperOfAnotherVersion extends KeeperUnusable {}

const CONNECT_PAUSE_MS = 5;
/** A greeting needs no device. */
const GREETING_MS = 5_000;
/** An answer may need the device, which may take a while to open. */
const ANSWER_MS = 30_000;
/** A keeper that streams says something four times a second. */
const SILENCE_MS = 30_000;
const HANDOVER_MS = 10_000;
/** Nobody is helped by waiting longer for a keeper to take something back. */
const GIVE_BACK_MS = 5_000;

type Heard = (message: KeeperMessage) => void;

/** A conversation with a keeper. What is lent in it is given back with its end. */
export class KeeperConnection {
  readonly #answers = new Map<number, { resolve: Heard; reject: (reason: unknown) => void }>();
  readonly #listeners = new Set<Heard>();
  #nextId = 1;
  #heardAt = performance.now();
  #end: Error | undefined;
  /** Resolves with why, when it is over. */
  readonly closed: Promise<Error>;

  private constructor(
    private readonly socket: Socket,
    readonly path: string,
    frames: AsyncGenerator<{ readonly header: unknown }>,
  ) {
    this.closed = this.#listen(frames);
  }

  /**
   * Connects as soon as a keeper listens there.
   * @param deadline in `performance.now()`'s milliseconds
   * @throws KeeperUnusable where none does in time, or it is another user's; KeeperOfAnotherVersion, having told it to
   * retire where that is asked for
   */
  static async open(
    path: string,
    { deadline, retireOthers = false }: { readonly deadline: number; readonly retireOthers?: boolean },
  ): Promise<KeeperConnection> {
    const socket = await connectUntil(path, deadline);
    try {
      const { uid } = peerOf(descriptorOf(socket));
      if (uid !== userId())
        throw new KeeperUnusable(`${path}: expected a keeper of this user, got user ${uid}'s`);
      write(socket, { type: 'greet', protocol: KEEPER_PROTOCOL });
      const frames = readFrames(socket);
      const first = await within(frames.next(), GREETING_MS, () => silent(path));
      if (first.done) throw new KeeperUnusable(`${path}: the keeper ended before its greeting`);
      const { protocol } = AnyHello.parse(first.value.header);
      if (protocol !== KEEPER_PROTOCOL) {
        if (retireOthers) write(socket, { type: 'retire' });
        socket.end();
        throw new KeeperOfAnotherVersion(
          `${path}: expected a keeper that speaks version ${KEEPER_PROTOCOL} of its protocol, got ${protocol}`,
        );
      }
      KeeperMessage.parse(first.value.header);
      return new KeeperConnection(socket, path, frames);
    } catch (error) {
      // What was written is still sent.
      socket.end();
      throw error;
    }
  }

  /** Told of every message that answers no request. @returns a function that ends that */
  onMessage(listener: Heard): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Milliseconds since the keeper has said anything. */
  get silentMs(): number {
    return performance.now() - this.#heardAt;
  }

  prepare(checkpoint: PreparedCheckpoint): void {
    this.tell({ type: 'prepare', ...checkpoint });
  }

  async stats(): Promise<KeeperStats> {
    return expectAnswer(await this.ask((id) => ({ type: 'stats', id })), 'stats');
  }

  /** Compares what is in memory with the files. @throws KeeperUnusable where nothing of that key is held and loaded */
  async verify(key: string): Promise<{ readonly isGood: boolean; readonly sha256: string }> {
    const asked = this.ask((id) => ({ type: 'verify', id, key }), Number.POSITIVE_INFINITY);
    const { isGood, sha256 } = expectAnswer(await asked, 'verified');
    return { isGood, sha256 };
  }

  tell(message: ClientMessage): void {
    write(this.socket, message);
  }

  /** @throws KeeperUnusable where it refuses, is gone, or says nothing in time */
  async ask(message: (id: number) => ClientMessage, patienceMs = ANSWER_MS): Promise<KeeperMessage> {
    if (this.#end) throw this.#end;
    const id = this.#nextId++;
    const answer = new Promise<KeeperMessage>((resolve, reject) => {
      this.#answers.set(id, { resolve, reject });
    });
    this.tell(message(id));
    try {
      const answered = await within(answer, patienceMs, () => silent(this.path));
      if (answered.type === 'refused') throw new KeeperUnusable(answered.reason);
      return answered;
    } finally {
      this.#answers.delete(id);
    }
  }

  /** Ends it, when what was said has been sent. Idempotent. */
  close(): void {
    this.socket.end();
  }

  async #listen(frames: AsyncGenerator<{ readonly header: unknown }>): Promise<Error> {
    let reason: unknown;
    try {
      for await (const { header } of frames) {
        this.#heardAt = performance.now();
        const message = KeeperMessage.parse(header);
        const waiting = 'id' in message ? this.#answers.get(message.id) : undefined;
        if (waiting) waiting.resolve(message);
        else for (const listener of this.#listeners) listener(message);
      }
    } catch (error) {
      reason = error;
    }
    this.socket.destroy();
    this.#end = new KeeperUnusable(`${this.path}: the keeper is gone`, { cause: reason });
    for (const { reject } of this.#answers.values()) reject(this.#end);
    return this.#end;
  }
}

export interface KeeperSourceOptions {
  /** Where the keeper listens, or will. Default: there is none, until `moved` says where. */
  readonly socket?: string | undefined;
  /** How long to wait for one that is just being started, in milliseconds from now. Default: 3,000. */
  readonly waitMs?: number;
}

const WAIT_MS = 3_000;

/** A keeper as an engine's source of weights. It begins to look for the keeper at once. */
export class KeeperSource implements WeightSource {
  readonly #waitMs: number;
  #socket: string | undefined;
  #deadline = 0;
  #connecting: Promise<KeeperConnection> | undefined;

  constructor({ socket, waitMs = WAIT_MS }: KeeperSourceOptions = {}) {
    this.#waitMs = waitMs;
    this.moved(socket);
  }

  /** @param socket where the keeper is from now on; undefined: there is none */
  moved(socket: string | undefined): void {
    this.#socket = socket;
    this.#deadline = performance.now() + this.#waitMs;
    this.#connecting = socket === undefined ? undefined : this.#connect(socket);
    this.#connecting?.catch(() => {});
  }

  async lend(wanted: readonly WantedWeights[], { uuid }: DeviceFacts): Promise<LentWeights | undefined> {
    if (this.#socket === undefined) return undefined;
    // Each loan has a connection of its own: what is lent ends with it.
    const connection = await (this.#connecting ?? this.#connect(this.#socket));
    this.#connecting = undefined;
    try {
      return await Loan.take(connection, wanted, uuid);
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  #connect(socket: string): Promise<KeeperConnection> {
    return KeeperConnection.open(socket, { deadline: this.#deadline });
  }
}

interface Arrival {
  readonly key: string;
  readonly promise: Promise<void>;
  readonly arrive: () => void;
  readonly fail: (reason: unknown) => void;
  isOver: boolean;
}

class Loan implements LentWeights {
  readonly #arrivals = new Map<string, Arrival>();
  readonly #watch: NodeJS.Timeout;
  #onDamaged: (component: string) => void = () => {};
  #onPlaced: (component: string, end: number) => void = () => {};

  /** What was not taken yet. */
  readonly #pieces: Map<string, readonly LentPiece[]>;

  private constructor(
    private readonly connection: KeeperConnection,
    pieces: Map<string, readonly LentPiece[]>,
    keys: ReadonlyMap<string, string>,
    loaded: ReadonlySet<string>,
  ) {
    this.#pieces = pieces;
    for (const [component, key] of keys) this.#arrivals.set(component, arrivalOf(key));
    for (const component of loaded) this.#settle(component);
    connection.onMessage((message) => this.#hear(message));
    void connection.closed.then((reason) => this.#failAll(reason));
    this.#watch = setInterval(() => this.#expectLife(), SILENCE_MS / 10).unref();
  }

  static async take(
    connection: KeeperConnection,
    wanted: readonly WantedWeights[],
    device: string,
  ): Promise<Loan> {
    const keys = new Map(wanted.map((weights) => [weights.component, weightsKey(weights)]));
    // Messages may come right behind the answer.
    const early: KeeperMessage[] = [];
    const stop = connection.onMessage((message) => early.push(message));
    const asked = connection.ask((id) => ({
      type: 'hold',
      id,
      device,
      weights: wanted.map(({ component, checkpointDigest, mappedBytes, layout: { plan, extent } }) => ({
        ...{ component, checkpointDigest, mappedBytes, extent },
        plan: [...plan],
      })),
    }));
    const held = expectAnswer(await asked, 'held');
    const isAsAsked = wanted.every(({ component, mappedBytes }, index) => {
      const { key, pieces } = held.weights[index] ?? { pieces: [] };
      return key === keys.get(component) && pieces.reduce((sum, bytes) => sum + bytes, 0) === mappedBytes;
    });
    if (!isAsAsked) throw new KeeperUnusable('the keeper holds other weights than it was asked for');
    const sizes = held.weights.flatMap(({ pieces }) => pieces);
    const request = Buffer.concat(encodeFrame({ type: 'take', ticket: held.ticket }));
    const descriptors = await receiveDescriptors(connection.path, request, {
      count: sizes.length,
      timeoutMs: HANDOVER_MS,
    });
    const pieces = descriptors.map((descriptor, index) => ({ descriptor, bytes: sizes[index] as number }));
    const lent = new Map(
      wanted.map(({ component }, index) => [
        component,
        pieces.splice(0, held.weights[index]?.pieces.length ?? 0),
      ]),
    );
    const loaded = new Set(
      wanted.flatMap(({ component }, index) => (held.weights[index]?.isLoaded ? [component] : [])),
    );
    const loan = new Loan(connection, lent, keys, loaded);
    stop();
    for (const message of early) loan.#hear(message);
    return loan;
  }

  take(component: string): readonly LentPiece[] {
    const pieces = this.#pieces.get(component);
    if (!pieces) throw new Error(`expected the memory of ${component} to be taken once`);
    this.#pieces.delete(component);
    return pieces;
  }

  async loaded(component: string): Promise<void> {
    await this.#arrivalOf(component).promise;
  }

  giveBack(component: string, isDamaged: boolean): void {
    const arrival = this.#arrivals.get(component);
    if (!arrival) return;
    const { key, fail } = arrival;
    // What is told of it from now on is for others.
    this.#arrivals.delete(component);
    fail(new KeeperUnusable(`the weights of ${component} were given back`));
    // Where the keeper is gone, so is what it has lent.
    this.#giveBack([key], isDamaged).catch(() => {});
  }

  async makeRoom(): Promise<number> {
    return expectAnswer(await this.connection.ask((id) => ({ type: 'makeRoom', id })), 'room').freedBytes;
  }

  onDamaged(listener: (component: string) => void): void {
    this.#onDamaged = listener;
  }

  onPlaced(listener: (component: string, end: number) => void): void {
    this.#onPlaced = listener;
  }

  async close(): Promise<void> {
    clearInterval(this.#watch);
    closeDescriptors([...this.#pieces.values()].flat().map(({ descriptor }) => descriptor));
    this.#pieces.clear();
    const keys = [...this.#arrivals.values()].map(({ key }) => key);
    this.#arrivals.clear();
    if (keys.length > 0) await this.#giveBack(keys, false).catch(() => {});
    this.connection.close();
  }

  async #giveBack(keys: string[], isDamaged: boolean): Promise<void> {
    await this.connection.ask((id) => ({ type: 'giveBack', id, keys, isDamaged }), GIVE_BACK_MS);
  }

  #hear(message: KeeperMessage): void {
    if (!('key' in message)) return;
    const [component, arrival] =
      [...this.#arrivals].find(([, { key }]) => key === message.key) ?? ([undefined, undefined] as const);
    if (!arrival) return;
    if (message.type === 'progress') this.#onPlaced(component, message.placed);
    if (message.type === 'loaded') this.#settle(component);
    if (message.type === 'failed') arrival.fail(new KeeperUnusable(message.message));
    if (message.type !== 'damaged') return;
    if (arrival.isOver) this.#onDamaged(component);
    arrival.fail(new KeeperUnusable(`the weights of ${component} are damaged`));
  }

  #settle(component: string): void {
    const arrival = this.#arrivalOf(component);
    arrival.isOver = true;
    arrival.arrive();
  }

  #failAll(reason: unknown): void {
    clearInterval(this.#watch);
    for (const { fail } of this.#arrivals.values()) fail(reason);
  }

  #expectLife(): void {
    const isWaiting = [...this.#arrivals.values()].some(({ isOver }) => !isOver);
    if (isWaiting && this.connection.silentMs > SILENCE_MS) {
      this.#failAll(new KeeperUnusable('the keeper does not stream, and does not say why'));
    }
  }

  #arrivalOf(component: string): Arrival {
    const arrival = this.#arrivals.get(component);
    if (!arrival)
      throw new Error(`expected one of ${[...this.#arrivals.keys()].join(', ')}, got ${component}`);
    return arrival;
  }
}

function arrivalOf(key: string): Arrival {
  let arrive = () => {};
  let fail: (reason: unknown) => void = () => {};
  const promise = new Promise<void>((resolve, reject) => {
    arrive = resolve;
    fail = reject;
  });
  promise.catch(() => {});
  return { key, promise, arrive, fail, isOver: false };
}

async function connectUntil(path: string, deadline: number): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      // Whoever reads from it hears of what goes wrong; one that is given up at once is read by nobody.
      socket.on('error', () => {});
      return socket;
    } catch (cause) {
      socket.destroy();
      if (performance.now() >= deadline) {
        throw new KeeperUnusable(`no keeper listens on ${path}`, { cause });
      }
      // Not all of those who wait at the same time.
      await sleep(CONNECT_PAUSE_MS + randomInt(CONNECT_PAUSE_MS));
    }
  }
}

function write(socket: Socket, message: ClientMessage): void {
  if (!socket.writable) return;
  for (const part of encodeFrame(message)) socket.write(part);
}

function expectAnswer<Type extends KeeperMessage['type']>(
  message: KeeperMessage,
  type: Type,
): Extract<KeeperMessage, { type: Type }> {
  if (message.type !== type)
    throw new KeeperUnusable(`expected ${type} from the keeper, got ${message.type}`);
  return message as Extract<KeeperMessage, { type: Type }>;
}

function silent(path: string): KeeperUnusable {
  return new KeeperUnusable(`${path}: the keeper does not answer`);
}

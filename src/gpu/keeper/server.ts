import { randomUUID } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from 'pino';
import { packageVersion } from '../../package-root.js';
import { userId } from '../../storage/private-folder.js';
import { encodeFrame, readFrames } from '../frames.js';
import type { DeviceMemory } from '../runtime/session.js';
import {
  closeDescriptors,
  descriptorOf,
  MOST_DESCRIPTORS,
  peerOf,
  sendDescriptors,
} from './descriptor-passing.js';
import type { Holding, Holdings } from './holdings.js';
import { type KeeperState, nextKeeperState } from './keeper-states.js';
import { ClientMessage, KEEPER_PROTOCOL, type KeeperMessage, type PreparedCheckpoint } from './protocol.js';

export interface KeeperServerOptions {
  /** How long it goes on with nobody connected; 0: for ever. */
  readonly keepMs: number;
  /** Called once when it listens no more for another keeper's sake. */
  readonly onRetire: () => void;
  /** Called once when nobody needs it any more. */
  readonly onEnd: (reason: string) => void;
  readonly log: Logger;
}

/** What there is to serve once the device is open. */
export interface KeptDevice {
  readonly holdings: Holdings;
  /** The GPU's UUID. */
  readonly device: string;
  memory(): DeviceMemory;
  readonly prepare: (checkpoint: PreparedCheckpoint) => void;
}

/** Clients hear so often that a keeper lives while they wait. */
const PROGRESS_MS = 250;
/** What is in place is told as often as that much comes: a quarter of a large block. */
const TOLD_BYTES = 64 * 2 ** 20;

/** Somebody who has greeted, and what is lent to it: that ends with its connection, however its process ends. */
interface Client {
  readonly socket: Socket;
  readonly lent: Map<string, Holding>;
  readonly tickets: Set<string>;
}

/** Serves what a keeper holds. It listens before its device is open, so that clients need not look for it twice. */
export class KeeperServer {
  readonly #server: Server;
  readonly #clients = new Set<Client>();
  readonly #tickets = new Map<string, readonly Holding[]>();
  /** What clients have been told of how far a holding is. */
  readonly #told = new WeakMap<Holding, number>();
  #state: KeeperState = 'serving';
  #idle: NodeJS.Timeout | undefined;
  #open: (device: KeptDevice) => void = () => {};
  #fail: (reason: unknown) => void = () => {};
  readonly #device = new Promise<KeptDevice>((resolve, reject) => {
    this.#open = resolve;
    this.#fail = reject;
  });

  constructor(private readonly options: KeeperServerOptions) {
    this.#device.catch(() => {});
    this.#server = createServer((socket) => this.#serve(socket));
    setInterval(() => this.#tellProgress(), PROGRESS_MS).unref();
    this.#watchIdle();
  }

  /** @param path of a socket in a folder that nobody else may enter */
  async listen(path: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
  }

  /** From now on it lends. */
  open(device: KeptDevice): void {
    device.holdings.onChange((holding) => this.#tellChange(holding));
    device.holdings.onPlaced((holding) => this.#tellPlaced(holding));
    this.#open(device);
  }

  /** It never will: those who wait hear why. */
  fail(reason: unknown): void {
    this.#fail(reason);
  }

  #serve(socket: Socket): void {
    socket.on('error', (error) => this.options.log.debug({ err: error }, 'connection lost'));
    try {
      const { uid } = peerOf(descriptorOf(socket));
      if (uid !== userId()) throw new Error(`expected a process of user ${userId()}, got one of ${uid}`);
    } catch (error) {
      this.options.log.warn({ err: error }, 'connection refused');
      socket.destroy();
      return;
    }
    const client: Client = { socket, lent: new Map(), tickets: new Set() };
    socket.on('close', () => this.#left(client));
    void this.#read(client).catch((error: unknown) => {
      this.options.log.warn({ err: error }, 'connection closed: not a message of the keeper protocol');
      socket.destroy();
    });
  }

  async #read(client: Client): Promise<void> {
    for await (const { header } of readFrames(client.socket)) {
      const message = ClientMessage.parse(header);
      if (message.type === 'greet') this.#greet(client);
      else if (message.type === 'take') this.#hand(client.socket, message.ticket);
      else if (!this.#clients.has(client)) throw new Error(`expected greet first, got ${message.type}`);
      else if (message.type === 'retire') this.#retire();
      else
        void this.#answer(client, message).catch((error: unknown) => client.socket.destroy(error as Error));
    }
  }

  #greet(client: Client): void {
    this.#clients.add(client);
    clearTimeout(this.#idle);
    const version = packageVersion();
    send(client.socket, { type: 'hello', protocol: KEEPER_PROTOCOL, version, pid: process.pid });
  }

  async #answer(
    client: Client,
    message: Exclude<ClientMessage, { type: 'greet' | 'take' | 'retire' }>,
  ): Promise<void> {
    const { socket } = client;
    const device = await this.#device.catch((error: unknown) => {
      if ('id' in message) send(socket, { type: 'refused', id: message.id, reason: messageOf(error) });
      return undefined;
    });
    if (!device || socket.destroyed) return;
    const { holdings } = device;
    switch (message.type) {
      case 'hold':
        this.#hold(client, device, message);
        break;
      case 'prepare': {
        const { type: _, ...checkpoint } = message;
        if (this.#state === 'serving') device.prepare(checkpoint);
        break;
      }
      case 'giveBack':
        for (const key of message.keys) {
          const holding = client.lent.get(key);
          if (!holding) continue;
          client.lent.delete(key);
          if (message.isDamaged) holdings.damaged(holding);
          holdings.giveBack(holding);
        }
        send(socket, { type: 'room', id: message.id, freedBytes: 0 });
        break;
      case 'makeRoom':
        send(socket, { type: 'room', id: message.id, freedBytes: holdings.makeRoom() });
        break;
      case 'verify':
        await this.#verify(client, holdings, message);
        break;
      case 'stats':
        send(socket, {
          type: 'stats',
          id: message.id,
          pid: process.pid,
          memory: device.memory(),
          clients: this.#clients.size,
          holdings: holdings.all().map(({ key, component, state, arena, streamedBytes, lentTo }) => ({
            ...{ key, component, state, streamedBytes, lentTo },
            mappedBytes: arena.mappedBytes,
          })),
        });
        break;
    }
  }

  #hold(
    client: Client,
    { holdings, device }: KeptDevice,
    message: Extract<ClientMessage, { type: 'hold' }>,
  ): void {
    const { id } = message;
    try {
      if (this.#state !== 'serving') throw new Error('another keeper takes over');
      if (message.device !== device) {
        throw new Error(`this keeper has the GPU ${device}, the engine has ${message.device}`);
      }
      const held = holdings.hold(
        message.weights.map(({ component, checkpointDigest, mappedBytes, plan, extent }) => ({
          ...{ component, checkpointDigest, mappedBytes },
          layout: { plan, extent },
        })),
      );
      const pieces = held.flatMap(({ arena }) => arena.pieces).length;
      if (pieces > MOST_DESCRIPTORS) {
        throw new Error(`expected at most ${MOST_DESCRIPTORS} pieces of memory, got ${pieces}`);
      }
      for (const holding of held) {
        if (client.lent.has(holding.key)) continue;
        client.lent.set(holding.key, holding);
        holdings.lend(holding);
      }
      const ticket = randomUUID();
      this.#tickets.set(ticket, held);
      client.tickets.add(ticket);
      const weights = held.map(({ key, arena, state }) => ({
        key,
        pieces: arena.pieces.map(({ bytes }) => bytes),
        isLoaded: state === 'loaded',
      }));
      send(client.socket, { type: 'held', id, ticket, weights });
    } catch (error) {
      this.options.log.warn({ err: error }, 'nothing is lent');
      send(client.socket, { type: 'refused', id, reason: messageOf(error) });
    }
  }

  /** Descriptors of what a client was told that it may have. */
  #hand(socket: Socket, ticket: string): void {
    const held = this.#tickets.get(ticket);
    this.#tickets.delete(ticket);
    if (!held) throw new Error('expected the ticket of a client that is connected');
    void this.#device.then(({ holdings }) => {
      const descriptors: number[] = [];
      try {
        for (const holding of held) descriptors.push(...holdings.descriptorsOf(holding));
        sendDescriptors(descriptorOf(socket), descriptors);
      } catch (error) {
        this.options.log.warn({ err: error }, 'descriptors were not handed over');
      } finally {
        closeDescriptors(descriptors);
        socket.end();
      }
    });
  }

  async #verify(
    { socket }: Client,
    holdings: Holdings,
    { id, key }: Extract<ClientMessage, { type: 'verify' }>,
  ): Promise<void> {
    try {
      const holding = holdings.find(key);
      if (!holding) throw new Error(`nothing of that digest is held: ${key}`);
      send(socket, { type: 'verified', id, ...(await holdings.verify(holding)) });
    } catch (error) {
      send(socket, { type: 'refused', id, reason: messageOf(error) });
    }
  }

  #retire(): void {
    const before = this.#state;
    this.#state = nextKeeperState(before, 'retire');
    if (before === 'draining') return;
    this.options.log.info('another keeper takes over');
    this.#server.close();
    this.options.onRetire();
    this.#watchIdle();
  }

  #left(client: Client): void {
    if (!this.#clients.delete(client)) return;
    for (const ticket of client.tickets) this.#tickets.delete(ticket);
    if (client.lent.size > 0) {
      void this.#device.then(({ holdings }) => {
        for (const holding of client.lent.values()) holdings.giveBack(holding);
        client.lent.clear();
      });
    }
    this.#watchIdle();
  }

  #watchIdle(): void {
    clearTimeout(this.#idle);
    if (this.#clients.size > 0 || this.#state === 'ended') return;
    const { keepMs, onEnd } = this.options;
    const end = (event: 'idle' | 'deserted', reason: string) => {
      this.#state = nextKeeperState(this.#state, event);
      onEnd(reason);
    };
    if (this.#state === 'draining') end('deserted', 'the last client is gone');
    else if (keepMs > 0) {
      this.#idle = setTimeout(() => end('idle', `nobody was connected for ${keepMs / 1000} s`), keepMs);
    }
  }

  #tellChange(holding: Holding): void {
    const { key, state, failure } = holding;
    for (const { socket, lent } of this.#clients) {
      if (lent.get(key) !== holding) continue;
      if (state === 'loaded') send(socket, { type: 'loaded', key });
      if (state === 'failed') send(socket, { type: 'failed', key, message: messageOf(failure) });
      if (state === 'damaged') send(socket, { type: 'damaged', key });
    }
  }

  /** To whoever computes with what is there already. */
  #tellPlaced(holding: Holding): void {
    if (holding.placedEnd - (this.#told.get(holding) ?? 0) < TOLD_BYTES) return;
    this.#told.set(holding, holding.placedEnd);
    for (const { socket, lent } of this.#clients) {
      if (lent.get(holding.key) === holding) send(socket, progressOf(holding));
    }
  }

  #tellProgress(): void {
    for (const { socket, lent } of this.#clients) {
      for (const holding of lent.values()) {
        if (holding.state === 'streaming') send(socket, progressOf(holding));
      }
    }
  }
}

function progressOf({ key, streamedBytes, placedEnd, arena }: Holding): KeeperMessage {
  return { type: 'progress', key, bytes: streamedBytes, of: arena.bytes, placed: placedEnd };
}

function send(socket: Socket, message: KeeperMessage): void {
  if (!socket.writable) return;
  for (const part of encodeFrame(message)) socket.write(part);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

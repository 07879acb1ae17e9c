import type { Socket } from 'node:net';
import koffi, { type KoffiFunc } from 'koffi';
import { bytesAt, loadLibrary } from '../runtime/cuda/native.js';

/*
 * File descriptors that travel from one process to another over a Unix socket (SCM_RIGHTS), which Node's own sockets
 * drop. It needs no privilege, as taking them out of the other process (`pidfd_getfd`) would: whoever is connected gets
 * what the sender chooses. The layouts are those of Linux on 64-bit machines.
 */

/** The most that the kernel takes at a time (SCM_MAX_FD). */
export const MOST_DESCRIPTORS = 253;

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_RCVTIMEO = 20;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const MSG_CTRUNC = 0x08;

/** `struct msghdr`, behind it its one `struct iovec`, one byte of data, and the control message. */
const MESSAGE = { name: 0, nameLength: 8, iov: 16, iovLength: 24, control: 32, controlLength: 40, flags: 48 };
const IOVEC = 56;
const DATA = 72;
const CONTROL = 80;
/** `struct cmsghdr`: its length with what follows, level, type. */
const CONTROL_HEADER = 16;
const SUN_PATH = 108;

type Call = KoffiFunc<(...args: (number | bigint | Uint8Array | Int32Array)[]) => number>;

interface Libc {
  readonly socket: Call;
  readonly connect: Call;
  readonly close: Call;
  readonly send: Call;
  readonly sendmsg: Call;
  readonly recvmsg: Call;
  readonly getsockopt: Call;
  readonly setsockopt: Call;
  readonly calloc: KoffiFunc<(count: number, bytes: number) => bigint>;
  readonly free: KoffiFunc<(address: bigint) => void>;
}

let functions: Libc | undefined;

function libc(): Libc {
  if (functions) return functions;
  const library = loadLibrary('libc.so.6');
  functions = {
    socket: library.func('socket', 'int', ['int', 'int', 'int']),
    connect: library.func('connect', 'int', ['int', 'uint8 *', 'uint']),
    close: library.func('close', 'int', ['int']),
    send: library.func('send', 'int64', ['int', 'uint8 *', 'uint64', 'int']),
    sendmsg: library.func('sendmsg', 'int64', ['int', 'uint64', 'int']),
    recvmsg: library.func('recvmsg', 'int64', ['int', 'uint64', 'int']),
    getsockopt: library.func('getsockopt', 'int', ['int', 'int', 'int', 'int *', 'int *']),
    setsockopt: library.func('setsockopt', 'int', ['int', 'int', 'int', 'uint8 *', 'uint']),
    calloc: library.func('calloc', 'uint64', ['uint64', 'uint64']),
    free: library.func('free', 'void', ['uint64']),
  } as Libc;
  return functions;
}

/** A message's memory, of which the kernel gets the address: it must not move while a call is under way. */
function withMessage<T>(descriptors: number, work: (address: bigint, bytes: Buffer) => T): T {
  const controlBytes = CONTROL_HEADER + 4 * descriptors;
  const bytes = CONTROL + Math.ceil(controlBytes / 8) * 8;
  const address = BigInt(libc().calloc(1, bytes));
  const view = bytesAt(address, bytes);
  const message = Buffer.from(view.buffer, view.byteOffset, bytes);
  message.writeBigUInt64LE(address + BigInt(IOVEC), MESSAGE.iov);
  message.writeBigUInt64LE(1n, MESSAGE.iovLength);
  message.writeBigUInt64LE(address + BigInt(CONTROL), MESSAGE.control);
  message.writeBigUInt64LE(BigInt(controlBytes), MESSAGE.controlLength);
  message.writeBigUInt64LE(address + BigInt(DATA), IOVEC);
  message.writeBigUInt64LE(1n, IOVEC + 8);
  const done = () => libc().free(address);
  try {
    const result = work(address, message);
    if (result instanceof Promise) return result.finally(done) as T;
    done();
    return result;
  } catch (error) {
    done();
    throw error;
  }
}

/**
 * Sends descriptors, and one byte with them. They stay open here.
 * @param socket a connected Unix socket's own descriptor, to which nobody else is writing
 * @param descriptors 1 to 253
 */
export function sendDescriptors(socket: number, descriptors: readonly number[]): void {
  if (descriptors.length === 0 || descriptors.length > MOST_DESCRIPTORS) {
    throw new RangeError(`expected 1 to ${MOST_DESCRIPTORS} descriptors, got ${descriptors.length}`);
  }
  withMessage(descriptors.length, (address, message) => {
    message.writeBigUInt64LE(BigInt(CONTROL_HEADER + 4 * descriptors.length), CONTROL);
    message.writeInt32LE(SOL_SOCKET, CONTROL + 8);
    message.writeInt32LE(SCM_RIGHTS, CONTROL + 12);
    descriptors.forEach((descriptor, index) => {
      message.writeInt32LE(descriptor, CONTROL + CONTROL_HEADER + 4 * index);
    });
    const sent = libc().sendmsg(socket, address, MSG_NOSIGNAL);
    if (Number(sent) !== 1) throw new Error(`can't send descriptors [errno=${koffi.errno()}]`);
  });
}

/** The descriptor of one of Node's sockets, which its types don't tell of. @throws Error where it is closed */
export function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
  if (handle?.fd === undefined || handle.fd < 0) throw new Error('expected an open socket');
  return handle.fd;
}

/** Who is at the other end of a connected Unix socket: as the kernel knows, not as it says. */
export function peerOf(socket: number): { readonly pid: number; readonly uid: number } {
  const credentials = new Int32Array(3);
  const length = Int32Array.of(12);
  if (libc().getsockopt(socket, SOL_SOCKET, SO_PEERCRED, credentials, length) !== 0) {
    throw new Error(`can't learn who is connected [errno=${koffi.errno()}]`);
  }
  const [pid = 0, uid = -1] = credentials;
  return { pid, uid };
}

export interface ReceiveOptions {
  /** How many are to come: 1 to 253. */
  readonly count: number;
  readonly timeoutMs: number;
}

/**
 * Asks whoever listens on a Unix socket for descriptors, over a connection for this alone.
 * @param path of the socket
 * @param request bytes that say what is wanted
 * @returns the descriptors, which are the caller's to close
 * @throws Error where nobody listens, somebody of another user does, or what comes is not what was asked for
 */
export async function receiveDescriptors(
  path: string,
  request: Uint8Array,
  { count, timeoutMs }: ReceiveOptions,
): Promise<number[]> {
  const { socket: open, connect, close, send, setsockopt, recvmsg } = libc();
  const socket = open(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) throw new Error(`can't make a socket [errno=${koffi.errno()}]`);
  try {
    const timeout = Buffer.alloc(16);
    timeout.writeBigInt64LE(BigInt(Math.ceil(timeoutMs / 1000)), 0);
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length);
    const address = addressOf(path);
    if (connect(socket, address, address.length) !== 0) {
      throw new Error(`nobody listens on ${path} [errno=${koffi.errno()}]`);
    }
    const { uid } = peerOf(socket);
    if (uid !== process.getuid?.())
      throw new Error(`${path}: expected a process of this user, got user ${uid}`);
    if (Number(send(socket, request, request.length, MSG_NOSIGNAL)) !== request.length) {
      throw new Error(`${path}: the request for descriptors was not taken [errno=${koffi.errno()}]`);
    }
    return await withMessage(count, async (message, bytes) => {
      const got = await callAsync(recvmsg, socket, message, MSG_CMSG_CLOEXEC);
      const descriptors = got === 1 ? descriptorsIn(bytes) : [];
      if (descriptors.length === count && (bytes.readInt32LE(MESSAGE.flags) & MSG_CTRUNC) === 0) {
        return descriptors;
      }
      for (const descriptor of descriptors) close(descriptor);
      throw new Error(`${path}: expected ${count} descriptors in time, got ${descriptors.length}`);
    });
  } finally {
    close(socket);
  }
}

/** Closes descriptors that another process sent. */
export function closeDescriptors(descriptors: readonly number[]): void {
  for (const descriptor of descriptors) libc().close(descriptor);
}

/** `struct sockaddr_un`. */
function addressOf(path: string): Buffer {
  const name = Buffer.from(path);
  if (name.length >= SUN_PATH) {
    throw new RangeError(`expected a socket's path of at most ${SUN_PATH - 1} bytes, got ${path}`);
  }
  const address = Buffer.alloc(2 + SUN_PATH);
  address.writeUInt16LE(AF_UNIX, 0);
  name.copy(address, 2);
  return address;
}

function descriptorsIn(message: Buffer): number[] {
  if (message.readBigUInt64LE(MESSAGE.controlLength) < CONTROL_HEADER) return [];
  const isRights =
    message.readInt32LE(CONTROL + 8) === SOL_SOCKET && message.readInt32LE(CONTROL + 12) === SCM_RIGHTS;
  if (!isRights) return [];
  const count = (Number(message.readBigUInt64LE(CONTROL)) - CONTROL_HEADER) / 4;
  return Array.from({ length: count }, (_, index) =>
    message.readInt32LE(CONTROL + CONTROL_HEADER + 4 * index),
  );
}

function callAsync(call: Call, ...args: (number | bigint)[]): Promise<number> {
  return new Promise((resolve, reject) => {
    call.async(...args, (error: Error | null, result: number | bigint) => {
      if (error) reject(error);
      else resolve(Number(result));
    });
  });
}

/*
 * Becomes another program, which can't make an io_uring, nor can what it starts:
 *
 *   node without-io-uring.js PROGRAM [ARGUMENT…]
 *
 * CRIU captures no process that has one, and libuv gives each of its loops one from 1.49 on (Node 22), whatever
 * `UV_USE_IO_URING` says; where the kernel knows none it does without. So a filter for system calls answers in the
 * kernel's place. CRIU restores it with the process. It needs root.
 */
import koffi from 'koffi';

/** `io_uring_setup`, the same on all architectures. */
const IO_URING_SETUP = 425;
const ENOSYS = 38;
const F_SETFD = 2;
const STANDARD_STREAMS = [0, 1, 2];
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;

/** `struct sock_filter` of <linux/filter.h>: code, how far to jump if true and if false, operand. */
type Instruction = readonly [number, number, number, number];

const FILTER: readonly Instruction[] = [
  // The call's number, which stands first in `struct seccomp_data`.
  [0x20, 0, 0, 0],
  [0x15, 0, 1, IO_URING_SETUP],
  // SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW
  [0x06, 0, 0, 0x00050000 | ENOSYS],
  [0x06, 0, 0, 0x7fff0000],
];
const INSTRUCTION_BYTES = 8;

const [program, ...rest] = process.argv.slice(2);
if (program === undefined) throw new Error('expected a program to become');

const libc = koffi.load(null);
const prctl = libc.func('int prctl(int option, unsigned long mode, const void *filter)');
const fcntl = libc.func('int fcntl(int file, int command, ...)');
const execvp = libc.func('int execvp(const char *file, const char **arguments)');

const instructions = Buffer.alloc(FILTER.length * INSTRUCTION_BYTES);
for (const [at, [code, ifTrue, ifFalse, operand]] of FILTER.entries()) {
  const offset = at * INSTRUCTION_BYTES;
  instructions.writeUInt16LE(code, offset);
  instructions.writeUInt8(ifTrue, offset + 2);
  instructions.writeUInt8(ifFalse, offset + 3);
  instructions.writeUInt32LE(operand, offset + 4);
}
// `struct sock_fprog`: their number, and where they are.
const filter = Buffer.alloc(16);
filter.writeUInt16LE(FILTER.length, 0);
filter.writeBigUInt64LE(koffi.address(instructions), 8);

if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter) !== 0) {
  throw new Error(`expected the kernel to take a filter of system calls, errno ${koffi.errno()}`);
}
// Node keeps what it was given to itself.
for (const file of STANDARD_STREAMS) fcntl(file, F_SETFD, 'int', 0);
execvp(program, [program, ...rest, null]);
throw new Error(`${program} can't be started, errno ${koffi.errno()}`);

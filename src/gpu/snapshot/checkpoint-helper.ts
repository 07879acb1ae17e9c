import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { EngineCrashed, EngineStalled } from '../../contract/errors.js';
import { guards } from '../host/engine-process.js';
import { programFile } from '../programs/places.js';
import {
  type GpuFacts,
  HelperReply,
  type HelperRequest,
  type RefusalKind,
} from '../runtime/cuda/checkpoint-protocol.js';
import { capturedEnvironment } from './identity.js';

const PROGRAM = programFile('checkpoint');

/** The driver said no. */
export class DriverRefusal extends Error {
  constructor(
    readonly kind: RefusalKind,
    message: string,
  ) {
    super(message);
  }
}

type Call = HelperRequest extends infer Request
  ? Request extends HelperRequest
    ? Omit<Request, 'id'>
    : never
  : never;

interface Waiting {
  readonly resolve: (reply: HelperReply) => void;
  readonly reject: (error: Error) => void;
}

/** Milliseconds until a call has failed, for those that say nothing else. */
const CALL_TIMEOUT_MS = 10_000;
/** How long the driver waits for CUDA calls under way; an engine that is to be captured makes none. */
const LOCK_TIMEOUT_MS = 5_000;

/**
 * A process beside the host that makes the driver's checkpoint calls: about a quarter of a second after its start it
 * answers. Calls are made one after the other. One that is not answered in time ends it, and every other call with it.
 * It does not keep this process alive; whoever waits for a call, or for its end, does.
 */
export class CheckpointHelper {
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #end: Error | undefined;
  #words = '';

  private constructor(private readonly child: ChildProcess) {
    this.#hold(false);
    child.stdin?.on('error', () => {});
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#words = (this.#words + text).slice(-2000);
    });
    child.once('error', (error) => this.#over(error));
    child.once('close', (code, signal) => {
      const how = signal ? `signal=${signal}` : `exit=${code}`;
      const words = this.#words.trim();
      this.#over(
        new EngineCrashed(
          `the checkpoint helper ended [${how}]${words ? `; its last lines:\n${words}` : ''}`,
        ),
      );
    });
    if (child.stdout) {
      createInterface(child.stdout).on('line', (line) => {
        const reply = HelperReply.parse(JSON.parse(line));
        const waiting = this.#waiting.get(reply.id);
        this.#waiting.delete(reply.id);
        waiting?.resolve(reply);
      });
    }
  }

  /**
   * @param command what is run in its place, for tests
   * @param inside a process in whose namespaces it is to be; it then knows others by their numbers there
   */
  static async start(
    command: readonly string[] = [process.execPath, PROGRAM],
    inside?: number,
  ): Promise<CheckpointHelper> {
    const enter =
      inside === undefined ? [] : ['nsenter', '--target', String(inside), '--pid', '--mount', '--wdns=/'];
    // It dies with us, also where a call keeps it from hearing that its standard input has ended.
    const [program = '', ...args] = [...(await guards({})), ...enter, ...command];
    return new CheckpointHelper(
      spawn(program, args, {
        stdio: ['pipe', 'pipe', 'pipe'],
        env: { ...capturedEnvironment(), PATH: process.env.PATH ?? '/usr/bin:/bin' },
      }),
    );
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Whether it makes no calls any more. */
  get isOver(): boolean {
    return this.#end !== undefined || this.#hasEnded;
  }

  /** @throws DriverRefusal, EngineStalled, EngineCrashed, as every call here */
  async device(index: number, timeoutMs = CALL_TIMEOUT_MS): Promise<GpuFacts> {
    const { device } = await this.#call({ call: 'device', device: index }, timeoutMs);
    if (!device) throw new EngineCrashed('expected a description of the GPU from the checkpoint helper');
    return device;
  }

  /** @param pid here and below, as this process sees it */
  async state(pid: number, timeoutMs = CALL_TIMEOUT_MS): Promise<string> {
    return (await this.#call({ call: 'state', pid }, timeoutMs)).state ?? 'unknown';
  }

  async lock(pid: number, timeoutMs = CALL_TIMEOUT_MS): Promise<void> {
    await this.#call({ call: 'lock', pid, timeoutMs: Math.min(timeoutMs, LOCK_TIMEOUT_MS) }, timeoutMs);
  }

  async checkpoint(pid: number, timeoutMs: number): Promise<void> {
    await this.#call({ call: 'checkpoint', pid }, timeoutMs);
  }

  /** @param moved where the process was on another GPU, that one's UUID, and the one's that it goes to */
  async restore(
    pid: number,
    timeoutMs: number,
    moved?: { readonly from: string; readonly to: string },
  ): Promise<void> {
    await this.#call({ call: 'restore', pid, ...(moved && { moved }) }, timeoutMs);
  }

  /** Has the kernel read files that will be needed soon. */
  async readAhead(paths: readonly string[], timeoutMs = CALL_TIMEOUT_MS): Promise<void> {
    await this.#call({ call: 'read-ahead', paths: [...paths] }, timeoutMs);
  }

  async unlock(pid: number, timeoutMs = CALL_TIMEOUT_MS): Promise<void> {
    await this.#call({ call: 'unlock', pid }, timeoutMs);
  }

  /** Ends it, whatever it does. */
  async close(): Promise<void> {
    const { child } = this;
    if (child.pid === undefined || this.#hasEnded) return;
    this.#hold(true);
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  }

  async #call(call: Call, timeoutMs: number): Promise<HelperReply> {
    if (this.#end) throw this.#end;
    const id = this.#nextId++;
    const late = setTimeout(() => {
      const facts = 'pid' in call ? `[call=${call.call}, engine=${call.pid}]` : `[call=${call.call}]`;
      this.#over(new EngineStalled(`the NVIDIA driver has not answered for ${timeoutMs} ms ${facts}`));
      this.child.kill('SIGKILL');
    }, timeoutMs);
    try {
      const reply = await new Promise<HelperReply>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        this.child.stdin?.write(`${JSON.stringify({ id, ...call })}\n`);
      });
      if (reply.error) throw new DriverRefusal(reply.error.kind, reply.error.message);
      return reply;
    } finally {
      clearTimeout(late);
    }
  }

  get #hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Whether it keeps this process alive by itself. */
  #hold(isHeld: boolean): void {
    const pipes = [this.child.stdin, this.child.stdout, this.child.stderr] as (Socket | null)[];
    for (const each of [this.child, ...pipes]) {
      if (isHeld) each?.ref();
      else each?.unref();
    }
  }

  #over(error: Error): void {
    this.#end ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#end);
    this.#waiting.clear();
  }
}

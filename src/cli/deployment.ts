import type { ClientOptions } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';

/** A Temporal server that a job can be sent to. */
export interface Deployment {
  readonly connection: NativeConnection;
  readonly namespace: string;
  /** For clients of it. */
  readonly interceptors?: NonNullable<ClientOptions['interceptors']>;
  /** Rejects when it can't finish any job any more. */
  readonly failed: Promise<never>;
  /** Milliseconds until the server answered. */
  readonly serverMs: number;
  /** Milliseconds until the engine could draw, where this command started it and it can by now. */
  engineMs(): number | undefined;
  /** Why a job for this model has to wait at the moment, in words; empty where it does not. */
  hindrances(model: string): Promise<string[]>;
  close(): Promise<void>;
}

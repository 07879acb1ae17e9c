/**
 * What becomes of the weights that a keeper holds, and of the keeper.
 *
 * ```text
 *            loaded           evict                                  retire
 *  streaming ───────> loaded ───────> gone              serving ─────────────> draining
 *     │                 │              ^                   │                      │
 *     │ failed          │ damaged      │ dropped           │ idle                 │ deserted
 *     └─────> failed ───┼──────────────┤                   └───────> ended <──────┘
 *                       └─> damaged ───┘
 * ```
 *
 * What is failed or damaged is lent to nobody any more and dropped when the last who has it is gone.
 */
const HOLDING = {
  streaming: { loaded: 'loaded', failed: 'failed', damaged: 'damaged' },
  loaded: { evict: 'gone', damaged: 'damaged' },
  failed: { dropped: 'gone' },
  damaged: { dropped: 'gone' },
  gone: {},
} as const satisfies Record<string, Readonly<Record<string, string>>>;

const KEEPER = {
  /** Lends to whoever asks. */
  serving: { retire: 'draining', idle: 'ended' },
  /** Another keeper takes over: lends nothing new, and keeps what is lent until it is given back. */
  draining: { retire: 'draining', deserted: 'ended' },
  ended: {},
} as const satisfies Record<string, Readonly<Record<string, string>>>;

export type HoldingState = keyof typeof HOLDING;
export type HoldingEvent = 'loaded' | 'failed' | 'damaged' | 'evict' | 'dropped';
export type KeeperState = keyof typeof KEEPER;
export type KeeperEvent = 'retire' | 'idle' | 'deserted';

/** @throws Error for an event that can't happen in that state: a bug of the keeper */
export function nextHoldingState(state: HoldingState, event: HoldingEvent): HoldingState {
  const next = (HOLDING[state] as Partial<Record<HoldingEvent, HoldingState>>)[event];
  if (!next) throw new Error(`weights that are ${state} can not be ${event}`);
  return next;
}

/** @throws Error for an event that can't happen in that state: a bug of the keeper */
export function nextKeeperState(state: KeeperState, event: KeeperEvent): KeeperState {
  const next = (KEEPER[state] as Partial<Record<KeeperEvent, KeeperState>>)[event];
  if (!next) throw new Error(`a keeper that is ${state} can not be ${event}`);
  return next;
}

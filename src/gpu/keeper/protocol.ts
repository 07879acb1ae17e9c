import { z } from 'zod';

/**
 * What a keeper and those who ask it say to each other over its Unix socket. Every message is a frame (see
 * `../frames.ts`) with no body. Descriptors come over a connection of their own, on which the client sends nothing but
 * `take` and the keeper nothing but descriptors (see `descriptor-passing.ts`).
 *
 * `greet`, the `protocol` of `hello`, and `retire` are the same in all versions: by them a keeper of another version is
 * known and replaced.
 */
export const KEEPER_PROTOCOL = 2;

const Id = z.int().nonnegative();
const Bytes = z.int().nonnegative();
/** Of weights in their layout (`weightsKey`), or of a checkpoint. */
const Digest = z.string().regex(/^[0-9a-f]{64}$/);

/** First message of a client. Answered by `hello`. */
const Greet = z.strictObject({ type: z.literal('greet'), protocol: z.int() });

/** Where a component's weights come from and where they go in its memory. */
const Weights = z.strictObject({
  component: z.string(),
  checkpointDigest: Digest,
  mappedBytes: Bytes,
  extent: Bytes,
  plan: z.array(
    z.strictObject({ file: z.string(), fileOffset: Bytes, arenaOffset: Bytes, length: z.int().positive() }),
  ),
});
export type Weights = z.infer<typeof Weights>;

/** Have these on the device and lend them to this connection. Answered by `held` or `refused`. */
const Hold = z.strictObject({
  type: z.literal('hold'),
  id: Id,
  /** The GPU's UUID: numbers of GPUs differ from process to process. */
  device: z.string(),
  /** In the order of their use. */
  weights: z.array(Weights).min(1),
});

/** A checkpoint that somebody is going to hold. */
export const PreparedCheckpoint = z.strictObject({
  checkpoint: z.string(),
  model: z.string(),
  cacheFolder: z.string(),
});
export type PreparedCheckpoint = z.infer<typeof PreparedCheckpoint>;
/** Begin to stream a checkpoint, for whoever will hold it. Not answered. */
const Prepare = z.strictObject({ type: z.literal('prepare'), ...PreparedCheckpoint.shape });

/** The descriptors of what was `held`, in that order, over this connection. */
const Take = z.strictObject({ type: z.literal('take'), ticket: z.uuid() });
/** Not mapped by this client any more. Answered by `room`, by when it is others' to have. */
const GiveBack = z.strictObject({
  type: z.literal('giveBack'),
  id: Id,
  keys: z.array(Digest),
  /** They are not what they should be: nobody else shall get them. */
  isDamaged: z.boolean(),
});
/** Let go what nobody maps. Answered by `room`. */
const MakeRoom = z.strictObject({ type: z.literal('makeRoom'), id: Id });
/** Compare what is in memory with the files, all of it. Answered by `verified`. */
const Verify = z.strictObject({ type: z.literal('verify'), id: Id, key: Digest });
const StatsRequest = z.strictObject({ type: z.literal('stats'), id: Id });
/** Make place for another keeper: listen no more, and end when the last client is gone. Not answered. */
const Retire = z.strictObject({ type: z.literal('retire') });

export const ClientMessage = z.discriminatedUnion('type', [
  Greet,
  Hold,
  Prepare,
  Take,
  GiveBack,
  MakeRoom,
  Verify,
  StatsRequest,
  Retire,
]);
export type ClientMessage = z.infer<typeof ClientMessage>;

const Hello = z.strictObject({
  type: z.literal('hello'),
  protocol: z.int(),
  version: z.string(),
  pid: z.int().positive(),
});
/** All that is known of the greeting of a keeper of any version. */
export const AnyHello = z.object({ type: z.literal('hello'), protocol: z.int() });

const Held = z.strictObject({
  type: z.literal('held'),
  id: Id,
  ticket: z.uuid(),
  weights: z.array(
    z.strictObject({
      key: Digest,
      /** Bytes of each piece, in the order of addresses. */
      pieces: z.array(z.int().positive()).min(1),
      isLoaded: z.boolean(),
    }),
  ),
});
const Refused = z.strictObject({ type: z.literal('refused'), id: Id, reason: z.string() });
/** Of what is lent to this client and not loaded yet; comes also where nothing has moved, as a sign of life. */
const Progress = z.strictObject({
  type: z.literal('progress'),
  key: Digest,
  bytes: Bytes,
  of: Bytes,
  /** Up to there in its memory all is in place. */
  placed: Bytes,
});
const Loaded = z.strictObject({ type: z.literal('loaded'), key: Digest });
/** It will never be loaded. */
const Failed = z.strictObject({ type: z.literal('failed'), key: Digest, message: z.string() });
/** It was loaded, and is not what it was any more. */
const Damaged = z.strictObject({ type: z.literal('damaged'), key: Digest });
const Room = z.strictObject({ type: z.literal('room'), id: Id, freedBytes: Bytes });
const Verified = z.strictObject({
  type: z.literal('verified'),
  id: Id,
  isGood: z.boolean(),
  /** Of what is in memory, in the plan's order. */
  sha256: Digest,
});
const Stats = z.strictObject({
  type: z.literal('stats'),
  id: Id,
  pid: z.int().positive(),
  /** Of the device; undefined as long as it is not open. */
  memory: z.strictObject({ freeBytes: Bytes, totalBytes: Bytes }).optional(),
  clients: z.int().nonnegative(),
  /** The one that was used last comes last. */
  holdings: z.array(
    z.strictObject({
      key: Digest,
      component: z.string(),
      state: z.string(),
      mappedBytes: Bytes,
      /** Bytes that were read from files for it since it is held. */
      streamedBytes: Bytes,
      lentTo: z.int().nonnegative(),
    }),
  ),
});
export type KeeperStats = z.infer<typeof Stats>;

export const KeeperMessage = z.discriminatedUnion('type', [
  Hello,
  Held,
  Refused,
  Progress,
  Loaded,
  Failed,
  Damaged,
  Room,
  Verified,
  Stats,
]);
export type KeeperMessage = z.infer<typeof KeeperMessage>;

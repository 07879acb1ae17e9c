import { realpath } from 'node:fs/promises';
import { UnknownModel } from '../contract/errors.js';
import type { ModelCard } from '../contract/model-card.js';
import { openCheckpoint } from '../gpu/checkpoint/checkpoint.js';
import { checkpointDigest } from '../gpu/checkpoint/digest.js';
import { loadTokenizer } from '../gpu/engine/tokenizer.js';

/** What must be known of a model to judge a request for it. */
export interface KnownModel {
  readonly card: ModelCard;
  /** The prompt's length in the model's tokens before any are cut off, special ones included. */
  countTokens(prompt: string): number;
}

/** The models of a deployment, by name. */
export interface ModelCatalogue {
  /** @throws UnknownModel, CheckpointInvalid */
  find(name: string): Promise<KnownModel>;
}

export interface ModelCatalogueOptions {
  /** Checkpoint folders by the names that requests have for them. */
  readonly checkpoints: Readonly<Record<string, string>>;
  /** Where digests are kept between lives. */
  readonly cacheFolder: string;
}

/** How long a checkpoint is taken for the one that was read, in milliseconds. A look at its files takes some of them. */
const LOOK_EVERY_MS = 1000;

interface Opened {
  model: Promise<KnownModel>;
  lookedAt: number;
}

/**
 * Reads checkpoints when they are first asked for, and again when their files have changed; one that can't be read is
 * tried again the next time, and until it can be, the one before it counts.
 */
export function createModelCatalogue({ checkpoints, cacheFolder }: ModelCatalogueOptions): ModelCatalogue {
  const known = new Map<string, Opened>();

  async function read(name: string, folder: string): Promise<KnownModel> {
    const checkpoint = await openCheckpoint(folder, { name, cacheFolder });
    const tokenizer = await loadTokenizer(checkpoint);
    return { card: checkpoint.card, countTokens: (prompt) => tokenizer.count(prompt) };
  }

  function open(name: string, folder: string): Opened {
    const opened = { model: read(name, folder), lookedAt: performance.now() };
    known.set(name, opened);
    opened.model.catch(() => known.delete(name));
    return opened;
  }

  async function lookAgain(opened: Opened, name: string, folder: string): Promise<void> {
    opened.lookedAt = performance.now();
    const before = await opened.model;
    try {
      if ((await checkpointDigest(await realpath(folder), cacheFolder)) === before.card.digest) return;
      opened.model = Promise.resolve(await read(name, folder));
    } catch {
      // Somebody is about to replace it.
    }
  }

  return {
    async find(name) {
      const folder = Object.hasOwn(checkpoints, name) ? checkpoints[name] : undefined;
      if (folder === undefined) {
        const names = Object.keys(checkpoints).sort().join(', ');
        throw new UnknownModel(`expected one of the models ${names}, got ${JSON.stringify(name)}`);
      }
      const opened = known.get(name) ?? open(name, folder);
      if (performance.now() - opened.lookedAt >= LOOK_EVERY_MS) await lookAgain(opened, name, folder);
      return opened.model;
    },
  };
}

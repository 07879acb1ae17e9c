import { UnknownModel } from '../contract/errors.js';
import type { ModelCard } from '../contract/model-card.js';
import { openCheckpoint } from '../gpu/checkpoint/checkpoint.js';
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

/** Reads checkpoints when they are first asked for, each once; one that can't be read is tried again the next time. */
export function createModelCatalogue({ checkpoints, cacheFolder }: ModelCatalogueOptions): ModelCatalogue {
  const known = new Map<string, Promise<KnownModel>>();

  async function open(name: string, folder: string): Promise<KnownModel> {
    const checkpoint = await openCheckpoint(folder, { name, cacheFolder });
    const tokenizer = await loadTokenizer(checkpoint);
    return { card: checkpoint.card, countTokens: (prompt) => tokenizer.count(prompt) };
  }

  return {
    async find(name) {
      const folder = Object.hasOwn(checkpoints, name) ? checkpoints[name] : undefined;
      if (folder === undefined) {
        const names = Object.keys(checkpoints).sort().join(', ');
        throw new UnknownModel(`expected one of the models ${names}, got ${JSON.stringify(name)}`);
      }
      let model = known.get(name);
      if (model === undefined) {
        model = open(name, folder);
        known.set(name, model);
        model.catch(() => known.delete(name));
      }
      return model;
    },
  };
}

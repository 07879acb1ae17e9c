import { parseArgs } from 'node:util';
import { UsageError } from './usage-error.js';

export interface Arguments<Text extends string, Flag extends string> {
  /** What follows `--name`, by name. */
  readonly texts: Readonly<Partial<Record<Text, string>>>;
  /** Which of the options without a value are there. */
  readonly flags: ReadonlySet<Flag>;
  readonly positionals: readonly string[];
}

/**
 * Reads a command's arguments. A number below zero is a value like any other, so that the contract can refuse it in
 * its own words: node would take it for an option.
 * @param texts names of options with a value
 * @param flags names of options without
 * @throws UsageError for an option that the command does not have, or one without its value
 */
export function parseArguments<Text extends string, Flag extends string>(
  argv: readonly string[],
  texts: readonly Text[],
  flags: readonly Flag[],
): Arguments<Text, Flag> {
  const options: Record<string, { type: 'string' | 'boolean' }> = Object.fromEntries([
    ...texts.map((name) => [name, { type: 'string' }] as const),
    ...flags.map((name) => [name, { type: 'boolean' }] as const),
  ]);
  try {
    const parsed = parseArgs({ args: joinNegative(argv), options, allowPositionals: true });
    const values: Readonly<Record<string, unknown>> = parsed.values;
    const found: Partial<Record<Text, string>> = {};
    for (const name of texts) {
      const value = values[name];
      if (typeof value === 'string') found[name] = value;
    }
    return {
      texts: found,
      flags: new Set(flags.filter((name) => values[name] === true)),
      positionals: parsed.positionals,
    };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

function joinNegative(argv: readonly string[]): string[] {
  const joined: string[] = [];
  for (const argument of argv) {
    const last = joined.at(-1);
    const isValue = /^-\d/.test(argument) && last !== undefined && /^--[a-z-]+$/.test(last);
    if (isValue) joined[joined.length - 1] = `${last}=${argument}`;
    else joined.push(argument);
  }
  return joined;
}

/** A number, or the text as it is where it is none: the contract then says what it expected. */
export function numberOf(text: string | undefined): number | string | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  return text.trim() === '' || (Number.isNaN(number) && text !== 'NaN') ? text : number;
}

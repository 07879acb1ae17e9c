import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';

export interface ConfiguredServer extends ClientConnectConfig {
  readonly address: string;
}

/**
 * The server that Temporal's own environment configuration names: `TEMPORAL_ADDRESS` and its like, or a profile of
 * the configuration file.
 * @returns undefined where it names none
 * @throws Error where the configuration can't be read
 */
export function configuredServer(): ConfiguredServer | undefined {
  const config = readConfig();
  const { address } = config.connectionOptions;
  return address ? { ...config, address } : undefined;
}

/** The server of the configuration; where it names none, the one that a dev server is by default. */
export function configuredOrLocalServer(): ConfiguredServer {
  const address = 'localhost:7233';
  return configuredServer() ?? { address, connectionOptions: { address } };
}

function readConfig(): ClientConnectConfig {
  try {
    return loadClientConnectConfig();
  } catch (error) {
    // An empty file ends in a TypeError of the SDK's, so say what a file must have.
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `can't read Temporal's configuration (TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE), expected tables called [profile.NAME]: ${reason}`,
      { cause: error },
    );
  }
}

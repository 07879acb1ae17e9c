import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';

export interface ConfiguredServer extends ClientConnectConfig {
  readonly address: string;
}

/**
 * The server that Temporal's own environment configuration names: `TEMPORAL_ADDRESS` and its like, or a profile of
 * the configuration file.
 * @returns undefined where it names none
 */
export function configuredServer(): ConfiguredServer | undefined {
  const config = loadClientConnectConfig();
  const { address } = config.connectionOptions;
  return address ? { ...config, address } : undefined;
}

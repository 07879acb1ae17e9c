import { readdirSync, readFileSync } from 'node:fs';

/**
 * Numbers of the living processes whose command line fits.
 * @param environment text that must stand in their environment, for those that descend from somebody
 */
export function processesLike(commandLine: RegExp, environment = ''): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const line = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ');
        return (
          commandLine.test(line) && readFileSync(`/proc/${name}/environ`, 'latin1').includes(environment)
        );
      } catch {
        // It has just ended.
        return false;
      }
    })
    .map(Number);
}

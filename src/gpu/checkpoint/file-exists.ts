import { access } from 'node:fs/promises';

/** Whether there is something under this path, of the files that a checkpoint may or may not have. */
export function fileExists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

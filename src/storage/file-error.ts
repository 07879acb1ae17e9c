import { type RenderError, StorageRefused, StorageUnavailable } from '../contract/errors.js';

/**
 * Conditions that stay until somebody acts, with what to do about them. A full disk is one of them: trying again
 * for minutes would only hide the reason. All other conditions (EIO, EMFILE, ESTALE, …) may pass and are retried.
 */
const remedies: Readonly<Record<string, string>> = {
  EACCES: 'this user may not do that there: change the permissions, or choose another folder',
  EDQUOT: "this user's quota is used up: free some space, then run the job again",
  EEXIST: 'a file stands where a folder is needed: choose another folder',
  EISDIR: 'a folder stands where a file is needed: move it away, or choose another folder',
  ELOOP: 'its symbolic links lead in a circle: choose another folder',
  ENAMETOOLONG: 'the path is too long for its file system: choose another folder',
  ENOENT: 'there is no such file or folder',
  ENOSPC: 'the disk is full: free some space, then run the job again',
  ENOTDIR: 'a file stands where a folder is needed: choose another folder',
  EPERM: 'this user may not do that there: change the permissions, or choose another folder',
  EROFS: 'its file system is read-only: mount it writable, or choose another folder',
};

/** The operating system's name for what went wrong, such as `ENOSPC`. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/**
 * Says what a failed file operation means for a job.
 * @param action what was tried, such as `write`
 */
export function fileError(error: unknown, action: string, path: string): RenderError {
  const code = errorCode(error);
  const remedy = code === undefined ? undefined : remedies[code];
  const facts = `[code=${code ?? 'none'}, path=${path}]`;
  if (remedy !== undefined) {
    return new StorageRefused(`can't ${action} ${path}: ${remedy} ${facts}`, { cause: error });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new StorageUnavailable(`can't ${action} ${path} at the moment: ${reason} ${facts}`, {
    cause: error,
  });
}

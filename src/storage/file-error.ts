import { type RenderError, StorageRefused, StorageUnavailable } from '../contract/errors.js';

/**
 * Conditions that somebody has to end, and may end while the job waits: its pixels are kept and cost no GPU time.
 * So they are retried, as all that nobody has to end (EIO, EMFILE, ESTALE, …).
 */
const passing: Readonly<Record<string, string>> = {
  EDQUOT: "this user's quota is used up: free some space",
  ENOSPC: 'the disk is full: free some space',
  EROFS: 'its file system is read-only: mount it writable, or choose another folder',
};

/** Conditions under which this folder is the wrong one, with what to do about them. */
const lasting: Readonly<Record<string, string>> = {
  EACCES: 'this user may not do that there: change the permissions, or choose another folder',
  EEXIST: 'a file stands where a folder is needed: choose another folder',
  EISDIR: 'a folder stands where a file is needed: move it away, or choose another folder',
  ELOOP: 'its symbolic links lead in a circle: choose another folder',
  ENAMETOOLONG: 'the path is too long for its file system: choose another folder',
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'a file stands where a folder is needed: choose another folder',
  EPERM: 'this user may not do that there: change the permissions, or choose another folder',
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
  const facts = `[code=${code ?? 'none'}, path=${path}]`;
  const remedy = code === undefined ? undefined : lasting[code];
  if (remedy !== undefined) {
    return new StorageRefused(`can't ${action} ${path}: ${remedy} ${facts}`, { cause: error });
  }
  const help = code === undefined ? undefined : passing[code];
  if (help !== undefined) {
    return new StorageUnavailable(`can't ${action} ${path}: ${help} ${facts}`, { cause: error });
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new StorageUnavailable(`can't ${action} ${path} at the moment: ${reason} ${facts}`, {
    cause: error,
  });
}

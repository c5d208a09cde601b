const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EADDRINUSE: 'the address is already in use by another process',
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'the other end closed the connection',
  EEXIST: 'a file of this name is in the way',
  EHOSTUNREACH: 'there is no route to this host',
  EISDIR: 'it is a directory',
  ELOOP: 'its symbolic links go in circles',
  EMFILE: 'this process has too many files open',
  ENAMETOOLONG: 'the name is too long',
  ENETUNREACH: 'there is no route to this network',
  ENOENT: 'there is no such file or directory',
  ENOSPC: 'no space is left on the device',
  ENOTDIR: 'a part of the path is no directory',
  ENOTFOUND: 'the host name is not known',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
};

/** What an error of Node's says of a system call, in words; undefined for any other error, or a code that has none. */
export function systemReason(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  return Object.hasOwn(reasons, error.code) ? reasons[error.code] : undefined;
}

/** The reason in words, else whatever the error says of itself. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return reasonOf(error.errors[0]);
  return systemReason(error) ?? (error instanceof Error ? error.message : String(error));
}

/** A refused request, on both sides of the socket: HTTP status, a stable code, and words for people. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
  }
}

/** Nobody answers at a socket: no such file, no process behind it, or not ours to open. */
export class ApiUnreachableError extends Error {
  readonly code: string;
  readonly path: string;

  constructor(path: string, code: string, options?: ErrorOptions) {
    super(`Cannot reach ${path}: ${reasons[code] ?? code}`, options);
    this.name = 'ApiUnreachableError';
    this.path = path;
    this.code = code;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such socket; the process is not running or its socket is elsewhere',
  ECONNREFUSED: 'no process listens there (any more)',
  EACCES: 'permission denied; the socket belongs to another user',
  ENOTSOCK: 'this is not a socket',
};

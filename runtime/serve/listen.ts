import type { ListenOptions, Server } from 'node:net';

/** An address that could not be had: in use, not of this machine, or not allowed. */
export class ListenError extends Error {
  /** The system's code: `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, … */
  readonly code: string;
  readonly address: string;

  constructor(address: string, code: string, options?: ErrorOptions) {
    super(`Cannot listen on ${address}: ${reasons[code] ?? code}`, options);
    this.name = 'ListenError';
    this.address = address;
    this.code = code;
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is already in use by another process',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'permission denied',
  ENOTFOUND: 'the host name is not known',
};

/** Settles when `server` listens. @throws {ListenError} */
export function listen(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const address = options.path ?? `${options.host ?? ''}:${options.port}`;
      reject(new ListenError(address, error.code ?? 'UNKNOWN', { cause: error }));
    };
    server.once('error', onError);
    server.listen(options, () => {
      server.off('error', onError);
      resolve();
    });
  });
}

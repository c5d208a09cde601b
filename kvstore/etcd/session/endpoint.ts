/** Where a store listens. */
export interface Endpoint {
  readonly secure: boolean;
  /** Name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** `https://host:port`, for people. */
  readonly url: string;
}

/**
 * Reads `http://host:port`, `https://host:port` or `host:port`; the latter is secure when `secureByDefault` says so. The
 * port is 2379 unless given.
 * @throws {RangeError} for anything else; credentials are refused, and never repeated in the message.
 */
export function parseEndpoint(text: string, secureByDefault: boolean): Endpoint {
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `${secureByDefault ? 'https' : 'http'}://${text}`;
  if (holdsCredentials(withScheme))
    throw new RangeError('Endpoint contains credentials: give them as username and password');
  const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  // A token may be in whatever comes behind the host.
  const shown = JSON.stringify(text.replace(/(?<=[^/:])[/?#][^/].*$/s, (rest) => `${rest.slice(0, 1)}…`));
  if (/^unixs?:\/\//i.test(text))
    throw new RangeError(
      `Endpoint ${shown} is a Unix socket: an etcd is reached by http://HOST:PORT or https://HOST:PORT`,
    );
  if (!url || url.hostname === '') throw new RangeError(`Not an endpoint: ${shown}`);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new RangeError(`Endpoint ${shown} is neither http nor https`);
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '')
    throw new RangeError(`Endpoint ${shown} has a path: only host and port are expected`);
  const secure = url.protocol === 'https:';
  const port = portOf(withScheme, url, secure);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { secure, host, port, url: `${secure ? 'https' : 'http'}://${url.hostname}:${port}` };
}

/** Whether somebody has put a user and a password in front of a host, be it encoded. */
export function holdsCredentials(text: string): boolean {
  return /@|%40/i.test(text);
}

/** `URL` drops a port that is its scheme's default, so the text decides whether one was given. */
function portOf(text: string, url: URL, secure: boolean): number {
  if (url.port !== '') return Number(url.port);
  if (/:\d+\/?$/.test(text)) return secure ? 443 : 80;
  return 2379;
}

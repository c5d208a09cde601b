/** One place where a Consul agent listens. */
export interface ConsulAddress {
  /** As given: it holds no secret. */
  readonly text: string;
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  readonly socketPath?: string;
}

/** @throws {TypeError} for an address that cannot be used; it is not repeated in the message, as it may hold a secret. */
export function parseAddress(text: string): ConsulAddress {
  if (text.startsWith('unix://')) {
    const socketPath = text.slice('unix://'.length);
    if (!/^\/[^?#]+$/.test(socketPath)) throw new TypeError('A Unix socket of Consul is written as unix:///path');
    return { text, secure: false, host: 'localhost', port: 0, socketPath };
  }
  const url = URL.parse(text);
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new TypeError('An address of Consul is written as http://host:port, https://host:port or unix:///path');
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new TypeError('An address of Consul must not carry credentials or parameters: name a token file instead');
  if (url.pathname !== '/') throw new TypeError('An address of Consul has no path');
  const secure = url.protocol === 'https:';
  return { text, secure, host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || (secure ? 443 : 80)) };
}

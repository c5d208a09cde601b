import { readFile } from 'node:fs/promises';
import { type Socket, connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '../../../runtime/clock/index.ts';
import type { TlsFiles } from '../../etcd/index.ts';
import type { ConsulAddress } from './address.ts';

const dialTimeoutMs = 5000;

/** Opens a connection. TLS files are read anew each time, so that rotated ones take effect. */
export async function connect(address: ConsulAddress, tls: TlsFiles, clock: Clock): Promise<Socket> {
  const socket = await open(address, tls);
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  using _timer = clock.timer(dialTimeoutMs, () => reject(new Error(`No connection within ${dialTimeoutMs} ms`)));
  socket.once(address.secure ? 'secureConnect' : 'connect', () => resolve(undefined));
  socket.once('error', reject);
  try {
    await promise;
  } catch (error) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw error;
  }
  socket.off('error', reject);
  socket.setNoDelay(true);
  return socket;
}

async function open(address: ConsulAddress, tls: TlsFiles): Promise<Socket> {
  const { host, port, socketPath, secure } = address;
  if (socketPath !== undefined) return connectTcp({ path: socketPath });
  if (!secure) return connectTcp({ host, port });
  const read = async (path: string | undefined): Promise<Buffer | undefined> =>
    path === undefined ? undefined : await readFile(path);
  const [ca, cert, key] = await Promise.all([read(tls.trustedCaFile), read(tls.certFile), read(tls.keyFile)]);
  return connectTls({
    host,
    port,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: tls.insecureSkipVerify !== true,
    ...(tls.serverName ? { servername: tls.serverName } : isIP(host) ? {} : { servername: host }),
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
  });
}

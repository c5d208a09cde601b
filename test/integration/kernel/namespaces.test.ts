import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { type Server, Socket, createServer } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  type LinuxKernel,
  type NamespaceHandle,
  createNamespace,
  deleteNamespace,
  openLinuxKernel,
  openNamespace,
  runInNamespace,
  tcpConnectFd,
  tcpListenFd,
  udpBindFd,
} from '../../../kernel/index.ts';
import { needs } from '../../support/probe.ts';

const names = [`isthmus-int-${process.pid}-a`, `isthmus-int-${process.pid}-b`] as const;

needs(
  'linux',
  'root',
  'netns',
  'libbpf',
  'bpf',
)('two namespaces joined by a veth', () => {
  let left: NamespaceHandle;
  let right: NamespaceHandle;
  let kernels: LinuxKernel[] = [];

  beforeAll(async () => {
    left = createNamespace(names[0]);
    right = createNamespace(names[1]);
    kernels = [await openLinuxKernel({ netns: left }), await openLinuxKernel({ netns: right })];
    const [a, b] = kernels;
    await a?.network.createLink({
      kind: 'veth',
      name: 'eth0',
      index: 10,
      up: true,
      peer: { name: 'eth0', index: 20, netns: right.fd },
    });
    await b?.network.changeLink(20, { up: true });
    await a?.network.addAddress({ link: 10, address: '10.77.0.1', length: 24 });
    await b?.network.addAddress({ link: 20, address: '10.77.0.2', length: 24 });
  });

  afterAll(async () => {
    for (const kernel of kernels) await kernel[Symbol.asyncDispose]();
    for (const handle of [left, right]) handle[Symbol.dispose]();
    for (const name of names) expect(deleteNamespace(name)).toBe(true);
    for (const name of names) expect([deleteNamespace(name), existsSync(`/run/netns/${name}`)]).toEqual([false, false]);
  });

  test('TCP passes between sockets that one process made in both', async () => {
    const server: Server = createServer((socket) => socket.resume().end(`hello ${socket.remoteAddress}`));
    server.listen({ fd: tcpListenFd(right, { address: '10.77.0.2', port: 8080 }) });
    await once(server, 'listening');
    const fd = tcpConnectFd(left, { address: '10.77.0.2', port: 8080, source: '10.77.0.1' });
    const client = new Socket({ fd });
    client.setEncoding('utf8');
    client.write('who is there');
    let answer = '';
    for await (const chunk of client) answer += String(chunk);
    expect(answer).toBe('hello 10.77.0.1');
    server.close();
    await once(server, 'close');
  });

  test('a refused connection is an error of the socket', async () => {
    const client = new Socket({ fd: tcpConnectFd(left, { address: '10.77.0.2', port: 9 }) });
    client.write('anybody');
    const [error] = await once(client, 'error');
    expect(error).toMatchObject({ code: expect.stringMatching(/ECONNREFUSED|EPIPE|ECONNRESET/) });
    client.destroy();
  });

  test('UDP passes between sockets that one process made in both', async () => {
    const server = createSocket('udp4');
    const client = createSocket('udp4');
    for (const [socket, namespace, address] of [
      [server, right, '10.77.0.2'],
      [client, left, '10.77.0.1'],
    ] as const) {
      const listening = once(socket, 'listening');
      socket.bind({ fd: udpBindFd(namespace, { address, port: 5353 }), exclusive: true });
      await listening;
    }
    const received = once(server, 'message');
    client.send('ping', 5353, '10.77.0.2');
    const [message, from] = await received;
    expect([String(message), from]).toEqual(['ping', expect.objectContaining({ address: '10.77.0.1' })]);
    server.close();
    client.close();
  });

  test('an address in use, and one that is not there, name the namespace', () => {
    expect(() => tcpListenFd(right, { address: '10.77.0.9', port: 80 })).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL', message: expect.stringContaining(names[1]) }),
    );
  });

  test('a child process started inside stays inside, and the thread comes home', async () => {
    const home = readlinkSync('/proc/thread-self/ns/net');
    const child = runInNamespace(left, () =>
      spawn('readlink', ['/proc/self/ns/net'], { stdio: ['ignore', 'pipe', 'ignore'] }),
    );
    const [inside] = await once(child.stdout.setEncoding('utf8'), 'data');
    expect(readlinkSync('/proc/thread-self/ns/net')).toBe(home);
    expect(String(inside).trim()).toBe(runInNamespace(left, () => readlinkSync('/proc/thread-self/ns/net')));
    expect(String(inside).trim()).not.toBe(home);
  });

  test('the thread comes home after an error, out of a nested visit, and refuses promises', () => {
    const home = readlinkSync('/proc/thread-self/ns/net');
    const here = (): string => readlinkSync('/proc/thread-self/ns/net');
    expect(() =>
      runInNamespace(left, () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    const [outer, inner, after] = runInNamespace(left, () => [here(), runInNamespace(right, here), here()]);
    expect([outer === after, inner === outer, here() === home]).toEqual([true, false, true]);
    expect(() => runInNamespace(left, async () => undefined)).toThrow(TypeError);
    expect(here()).toBe(home);
  });

  test('sysctls are set inside only', async () => {
    const read = (): string => readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8').trim();
    const home = read();
    await kernels[0]?.network.setSysctl('ipv4/ip_forward', '1');
    await kernels[1]?.network.setSysctl('ipv4.ip_forward', '0');
    expect([runInNamespace(left, read), runInNamespace(right, read), read()]).toEqual(['1', '0', home]);
  });

  test('a name that is taken is refused, and a path opens what it names', () => {
    expect(() => createNamespace(names[0])).toThrow(expect.objectContaining({ code: 'EEXIST' }));
    expect(() => createNamespace('../escape')).toThrow(RangeError);
    expect(() => openNamespace('isthmus-int-not-there')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
    using own = openNamespace(`/proc/${process.pid}/ns/net`);
    expect(runInNamespace(own, () => readlinkSync('/proc/thread-self/ns/net'))).toBe(
      readlinkSync('/proc/thread-self/ns/net'),
    );
  });
});

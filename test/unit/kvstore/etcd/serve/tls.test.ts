import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { type Socket, connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TLSSocket, connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ServeTlsOptions } from '../../../../../kvstore/etcd/serve/index.ts';
import { methods } from '../../../../../kvstore/etcd/wire/index.ts';
import { VirtualClock } from '../../../../../runtime/clock/index.ts';
import { createMetrics } from '../../../../../runtime/metrics/index.ts';
import { type IssuedCertificate, TestAuthority, writeCertificate } from '../../../../support/certificates.ts';
import { RawEtcd } from '../../../../support/raw-etcd.ts';
import { until } from '../../../../support/until.ts';
import { Told, of, openRig, put } from './rig.ts';

const ours = new TestAuthority('our authority');
const theirs = new TestAuthority('their authority');
const client = ours.issue({ commonName: 'client', names: [] });
let folder: string;
let tls: ServeTlsOptions;
let mutual: ServeTlsOptions;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-serve-tls-'));
  writeFileSync(join(folder, 'ca.crt'), ours.cert);
  tls = writeCertificate(folder, 'server', ours.issue({ commonName: 'server' }));
  mutual = { ...tls, trustedCaFile: join(folder, 'ca.crt'), clientCertAuth: true };
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The code of a range by a client of its own; −1 when it is not answered. */
async function rangeBy(port: number, certificate?: IssuedCertificate): Promise<number> {
  await using one = new RawEtcd(port, { tls: { ca: ours.cert, ...certificate } });
  return (await one.call(methods.range, { key: of('a') })).code;
}

function subjectSeen(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', ca: ours.cert }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    }).on('error', reject);
  });
}

function closed(socket: Socket): Promise<void> {
  socket.on('error', () => undefined).resume();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

describe('the etcd API over TLS', () => {
  test('says when the certificate expires that it shows, also after that was replaced', async () => {
    const authority = new TestAuthority('long');
    const second = Math.floor(Date.now() / 1000) + 86_400;
    const issue = (seconds: number): IssuedCertificate =>
      authority.issue({ commonName: 'server', notAfterMs: seconds * 1000 });
    const files = writeCertificate(folder, 'measured', issue(second));
    const metrics = createMetrics({ prefix: 'isthmus_' });
    const shown = async (): Promise<string | undefined> =>
      /^isthmus_certificate_not_after_timestamp_seconds\{certificate="server"\} (.*)$/m.exec(await metrics.text())?.[1];
    await using _rig = await openRig({ tls: files, metrics }, { tls: { ca: authority.cert } });
    expect(await shown()).toBe(`${second}`);
    writeCertificate(folder, 'measured', issue(second + 3600));
    await until(async () => (await shown()) === `${second + 3600}`);
  });

  test('speaks gRPC over HTTP/2, and answers probes over both versions of HTTP', async () => {
    await using rig = await openRig({ tls }, { tls: { ca: ours.cert } });
    expect(await put(rig, 'a', '1')).toBe(2);
    const { response } = await rig.client.call(methods.memberList, {});
    expect(response?.members[0]?.clientUrls).toEqual([`https://127.0.0.1:${rig.port}`]);
    const body = await new Promise<string>((resolve, reject) => {
      const wanted = { host: '127.0.0.1', port: rig.port, path: '/version', ca: ours.cert, agent: false };
      httpsRequest(wanted, (answer) => answer.setEncoding('utf8').on('data', resolve))
        .on('error', reject)
        .end();
    });
    expect(JSON.parse(body)).toMatchObject({ etcdserver: '3.6.16' });
    const stream = rig.client.session.request({ ':path': '/health' });
    const health = await new Promise((resolve) => stream.setEncoding('utf8').on('data', resolve));
    expect(health).toBe('{"health":"true","reason":""}');
  });

  test('in cleartext is not spoken on that port', async () => {
    await using rig = await openRig({ tls }, { tls: { ca: ours.cert } });
    await using plain = new RawEtcd(rig.port);
    expect((await plain.call(methods.range, { key: of('a') })).code).toBe(-1);
    expect(await put(rig, 'a', '1')).toBe(2);
  });

  test('asks for no certificate where it need not be', async () => {
    await using rig = await openRig({ tls }, { tls: { ca: ours.cert } });
    expect(await rangeBy(rig.port)).toBe(0);
  });

  test.each([
    { who: 'of our authority', certificate: client, code: 0 },
    { who: 'of a stranger', certificate: theirs.issue({ commonName: 'client' }), code: -1 },
    {
      who: 'that has expired',
      certificate: ours.issue({ commonName: 'client', notAfterMs: Date.now() - 1000 }),
      code: -1,
    },
    {
      who: 'that is not valid yet',
      certificate: ours.issue({ commonName: 'client', notBeforeMs: Date.now() + 3_600_000 }),
      code: -1,
    },
    { who: 'that is missing', certificate: undefined, code: -1 },
  ])('where certificates are wanted, answers a client with one $who: $code', async ({ certificate, code }) => {
    await using rig = await openRig({ tls: mutual }, { tls: { ca: ours.cert, ...client } });
    expect(await rangeBy(rig.port, certificate)).toBe(code);
    expect(await put(rig, 'a', '1')).toBe(2);
  });

  test('shows a new certificate to new clients, and drops no stream of the others', async () => {
    const files = writeCertificate(join(folder, 'rotated'), 'server', ours.issue({ commonName: 'first' }));
    await using rig = await openRig({ tls: files }, { tls: { ca: ours.cert } });
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('a') } });
    await told.until(1);
    expect(await subjectSeen(rig.port)).toBe('first');
    // What does not belong together changes nothing.
    const second = writeCertificate(join(folder, 'rotated'), 'next', ours.issue({ commonName: 'second' }));
    copyFileSync(second.certFile, files.certFile);
    expect(await subjectSeen(rig.port)).toBe('first');
    copyFileSync(second.keyFile, files.keyFile);
    await until(async () => (await subjectSeen(rig.port)) !== 'first');
    expect(await subjectSeen(rig.port)).toBe('second');
    await put(rig, 'a', '1');
    expect(await told.until(2)).toEqual(['watch 0 r1, created', 'watch 0 r2, put a=1@2']);
  });

  test('trusts another authority as soon as the file names it', async () => {
    const trustedCaFile = join(folder, 'trusted.crt');
    writeFileSync(trustedCaFile, ours.cert);
    const options = { ...mutual, trustedCaFile };
    await using rig = await openRig({ tls: options }, { tls: { ca: ours.cert, ...client } });
    const newcomer = theirs.issue({ commonName: 'newcomer' });
    expect(await rangeBy(rig.port, newcomer)).toBe(-1);
    writeFileSync(trustedCaFile, ours.cert + theirs.cert);
    await until(async () => (await rangeBy(rig.port, newcomer)) === 0);
    writeFileSync(trustedCaFile, ours.cert);
    await until(async () => (await rangeBy(rig.port, newcomer)) !== 0);
    expect(await put(rig, 'a', '1')).toBe(2);
  });

  test.each([
    {
      what: 'no file',
      change: { certFile: '/nowhere/server.crt' },
      text: '/nowhere/server.crt cannot be read: there is no such file or directory',
    },
    { what: 'the key of another', change: { keyFile: 'other.key' }, text: 'is not the private key of the certificate' },
    { what: 'no authority', change: { trustedCaFile: undefined }, text: 'clients need an authority' },
  ])('does not start with $what', async ({ change, text }) => {
    writeCertificate(folder, 'other', ours.issue({ commonName: 'other' }));
    const { keyFile = 'server.key' } = change;
    const wanted = { ...mutual, ...change, keyFile: join(folder, keyFile) } as ServeTlsOptions;
    await expect(openRig({ tls: wanted })).rejects.toThrow(text);
  });

  test('closes a connection whose handshake does not come, and one that says nothing after it', async () => {
    const clock = new VirtualClock();
    await using rig = await openRig({ tls, clock });
    const mute = connectTcp({ port: rig.port, host: '127.0.0.1' });
    const idle = connectTls({ port: rig.port, host: '127.0.0.1', ca: ours.cert, ALPNProtocols: ['h2'] });
    const gone = new Set<Socket>();
    for (const one of [mute, idle]) void closed(one).then(() => gone.add(one));
    await new Promise((resolve) => idle.once('secureConnect', resolve));
    expect(gone.size).toBe(0);
    // The client may have finished its handshake a little before the server.
    await until(
      () => gone.size >= 2,
      () => clock.advance(10_001),
    );
  });

  test('ends at once although handshakes are under way', async () => {
    const rig = await openRig({ tls });
    const mute = connectTcp({ port: rig.port, host: '127.0.0.1' });
    const gone = closed(mute);
    await new Promise((resolve) => mute.once('connect', resolve));
    await rig[Symbol.asyncDispose]();
    await gone;
  });
});

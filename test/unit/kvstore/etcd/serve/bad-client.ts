import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { Users } from '../../../../../kvstore/auth/index.ts';
import { encodeFrame, methods } from '../../../../../kvstore/etcd/wire/index.ts';
import { systemClock } from '../../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../../runtime/log/index.ts';
import { createMetrics } from '../../../../../runtime/metrics/index.ts';
import { TestAuthority, writeCertificate } from '../../../../support/certificates.ts';
import { RawEtcd } from '../../../../support/raw-etcd.ts';
import { type Rig, Told, of, openRig } from './rig.ts';

export const mebibyte = 1024 * 1024;
export const putOf = (key: string, value: Uint8Array): Buffer =>
  encodeFrame(methods.put.request, { key: of(key), value });
export const rangeOf = (key: string, rangeEnd: string): Buffer =>
  encodeFrame(methods.range.request, { key: of(key), rangeEnd: of(rangeEnd) });
export const everything = rangeOf('k', 'l');

/** A metric of the server as it is now. */
export async function metric(metrics: ReturnType<typeof createMetrics>, name: string): Promise<number> {
  const line = (await metrics.text()).split('\n').find((one) => one.startsWith(`isthmus_etcd_server_${name} `));
  return Number(line?.split(' ')[1] ?? NaN);
}

/** Another client is served as ever. */
export async function othersAreUnhurt(rig: Rig): Promise<void> {
  await using other = new RawEtcd(rig.port);
  const told = new Told(other);
  told.watch.send({ create: { key: of('unhurt') } });
  await told.until(1);
  const { response } = await other.call(methods.put, { key: of('unhurt'), value: of('1') });
  expect((await told.until(2))[1]).toContain(`put unhurt=1@${response?.header?.revision}`);
  expect((await other.call(methods.range, { key: of('unhurt') })).response?.count).toBe(1);
}

interface Served {
  readonly port: number;
  /** Options of a client with a certificate of this name; there are the users "root" and "other". */
  as(commonName: string): { readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } };
}

export async function withUsers(
  options: Parameters<typeof openRig>[0],
  work: (served: Served) => Promise<void>,
): Promise<void> {
  const authority = new TestAuthority('limits');
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-serve-limits-'));
  try {
    writeFileSync(join(folder, 'ca.crt'), authority.cert);
    const deps = { clock: systemClock, log: silentLogger };
    const trustedCaFile = join(folder, 'ca.crt');
    const usersFile = join(folder, 'users.yaml');
    writeFileSync(usersFile, 'users: [{name: other, role: root}]');
    await using users = await Users.open({ trustedCaFile, usersFile }, deps);
    const certificate = writeCertificate(folder, 'server', authority.issue({ commonName: 'server' }));
    const as = (commonName: string) => ({ tls: { ca: authority.cert, ...authority.issue({ commonName, names: [] }) } });
    // The rig's own client is nobody, and goes away before it can count.
    const rig = await openRig({ ...options, tls: { ...certificate, clientCertAuth: true }, users }, as('monitor'));
    await using _ = rig;
    await rig.client[Symbol.asyncDispose]();
    await work({ port: rig.port, as });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function repeated(bytes: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}

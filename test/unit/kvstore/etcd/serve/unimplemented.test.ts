import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { methods } from '../../../../../kvstore/etcd/wire/index.ts';
import { type Rig, openRig } from './rig.ts';

/** Paths of all calls that a `.proto` file declares. */
function callsIn(proto: string, packageName: string): readonly string[] {
  const paths: string[] = [];
  let service = '';
  for (const [, kind, name] of proto.matchAll(/^\s*(service|rpc)\s+(\w+)/gm))
    if (kind === 'service') service = `/${packageName}.${name}`;
    else paths.push(`${service}/${name}`);
  return paths;
}

const etcd3 = dirname(createRequire(import.meta.url).resolve('etcd3/package.json'));
const declared = callsIn(readFileSync(join(etcd3, 'proto/rpc.proto'), 'utf8'), 'etcdserverpb');
const answered = new Set<string>(Object.values(methods).map(({ path }) => path));
const beyond = [
  ...declared.filter((path) => !answered.has(path)),
  // What etcd serves beside rpc.proto; clients have recipes of their own for both.
  '/v3lockpb.Lock/Lock',
  '/v3lockpb.Lock/Unlock',
  '/v3electionpb.Election/Campaign',
  '/v3electionpb.Election/Observe',
  '/grpc.health.v1.Health/Check',
  '/etcdserverpb.Lease/LeaseCheckpoint',
  '/etcdserverpb.KV/range',
  '/etcdserverpb.KV/Range/',
  '/etcdserverpb.KV/',
  '/KV/Range',
  '//',
];

/** An empty message is a valid request of every call. */
async function statusOf(rig: Rig, path: string): Promise<{ readonly code: number; readonly message: string }> {
  const { code, message, messages } = await rig.client.bytes(path, new Uint8Array(5));
  if (code !== 0) expect(messages).toEqual([]);
  return { code, message };
}

test('every call that we answer is one of etcd’s', () => {
  expect([...answered].filter((path) => !declared.includes(path))).toEqual([]);
  expect(declared).toHaveLength(41);
});

test('calls beyond the subset are unimplemented, and say which', async () => {
  await using rig = await openRig();
  for (const path of beyond) {
    const { code, message } = await statusOf(rig, path);
    expect({ path, code }).toEqual({ path, code: 12 });
    const [, service = '', method = ''] = path.split('/');
    const known = declared.some((other) => other.startsWith(`/${service}/`));
    expect(message).toBe(known ? `unknown method ${method} for service ${service}` : `unknown service ${service}`);
  }
  expect(rig.engine.revision).toBe(1);
});

test('calls of the subset are none of them unimplemented', async () => {
  await using rig = await openRig();
  for (const path of answered) {
    // It lasts until its client ends it, which it does when there is nothing to watch.
    if (path === methods.watch.path) continue;
    expect([path, (await statusOf(rig, path)).code]).not.toEqual([path, 12]);
  }
});

test('the page of the API names what is not served, and nothing else', () => {
  const page = readFileSync(new URL('../../../../../docs/etcd-api.md', import.meta.url), 'utf8');
  const paragraph = page.split('\n\n').find((one) => one.startsWith('Everything else answers')) ?? '';
  const named = new Set([...paragraph.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  const methodOf = (path: string): string => path.split('/')[2] ?? '';
  expect(declared.filter((path) => named.has(methodOf(path)))).toEqual(declared.filter((path) => !answered.has(path)));
});

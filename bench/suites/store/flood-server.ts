import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { encodeFrame, rangeResponse, watchResponse } from '../../../kvstore/etcd/wire/index.ts';

/**
 * A process that pretends to be an etcd with a flood of events: an empty store of revision 1, and for whoever watches,
 * COUNT responses of one event each, made before the first of them is asked for, as fast as they are taken.
 * `flood-server.ts COUNT` prints where it listens.
 */
const count = Number(process.argv[2]);
const header = { clusterId: 1n, memberId: 1n, revision: 1, raftTerm: 1n };
const pieces = prepared(count);

const server = createServer({ settings: { initialWindowSize: 16 << 20 } });
server.on('stream', (stream, headers) => {
  stream.on('error', () => undefined);
  const isWatch = String(headers[':path']).endsWith('/Watch');
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: !isWatch });
  if (!isWatch) {
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(encodeFrame(rangeResponse, { header, count: 0 }));
    return;
  }
  stream.once('data', () => {
    stream.write(encodeFrame(watchResponse, { header, created: true, watchId: 0n }));
    let next = 0;
    const pump = (): void => {
      while (next < pieces.length) if (!stream.write(pieces[next++])) return;
    };
    stream.on('drain', pump);
    pump();
  });
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});

function prepared(events: number): Buffer[] {
  const made: Buffer[] = [];
  for (let from = 0; from < events; from += 500) {
    const frames = Array.from({ length: Math.min(500, events - from) }, (_, i) => frameOf(from + i));
    made.push(Buffer.concat(frames));
  }
  return made;
}

/** The addresses of a large cluster change one after the other, again and again. */
function frameOf(i: number): Buffer {
  const ip = `10.${(i >> 16) & 3}.${(i >> 8) & 255}.${i & 255}`;
  const host = `172.18.${(i >> 14) & 255}.${(i >> 8) & 63}`;
  const value = `{"IP":"${ip}","Mask":null,"HostIP":"${host}","ID":${131_072 + (i % 9000)},"Key":0,"Metadata":"cilium-global:default:worker-${(i >> 8) & 1023}:${1 + (i % 250)}","K8sNamespace":"team-${i % 50}","K8sPodName":"service-${i % 9000}-7d9f8b6c5d-${suffixOf(i)}","K8sServiceAccount":"service-${i % 200}"}`;
  const kv = {
    key: Buffer.from(ip),
    value: Buffer.from(value),
    createRevision: i + 2,
    modRevision: i + 2,
    version: 1,
    lease: 0n,
  };
  return encodeFrame(watchResponse, {
    header: { ...header, revision: i + 2 },
    watchId: 0n,
    events: [{ type: 'put', kv }],
  });
}

function suffixOf(i: number): string {
  return (i * 7919).toString(36).padStart(5, 'x').slice(-5);
}

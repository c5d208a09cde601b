import { expect, test } from '@jest/globals';
import { FrameParser } from '../../../../../kvstore/etcd/http2/frame-parser.ts';
import * as frames from '../../../../../kvstore/etcd/http2/frames.ts';
import { Random } from '../../../../../runtime/random/index.ts';

/** What a parser says of bytes that come cut at these places. */
function read(pieces: readonly Buffer[]): string[] {
  const said: string[] = [];
  let content: Buffer[] = [];
  let began = '';
  const parser = new FrameParser({
    dataBegins: (stream, length) => {
      began = `${stream} of ${length}`;
      content = [];
    },
    data: (buffer, from, to) => content.push(Buffer.from(buffer.subarray(from, to))),
    dataEnds: (isLast) =>
      said.push(`data ${began}: ${Buffer.concat(content).toString('latin1')}${isLast ? ' last' : ''}`),
    frame: (type, flags, stream, payload) => said.push(`${type} ${flags} ${stream} ${payload.toString('latin1')}`),
  });
  for (const piece of pieces) parser.push(piece, 0, piece.length);
  return said;
}

test.each(Array.from({ length: 30 }, (_, seed) => seed))(
  'frames are the same however they are cut (seed %i)',
  (seed) => {
    const random = new Random(seed);
    const bytes = Buffer.concat(
      Array.from({ length: 40 }, () => {
        const type = random.pick([0, 0, 0, 1, 4, 6, 9, 77]);
        const payload = Buffer.alloc(random.pick([0, 1, 5, 200, 3000]), 97 + random.int(26));
        if (type !== 0 || random.chance(0.7)) return frames.frameOf(type, random.int(2), random.int(9), payload);
        return frames.frameOf(0, frames.flag.padded, 3, Buffer.concat([Buffer.from([2]), payload, Buffer.alloc(2)]));
      }),
    );
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = 1 + random.int(random.pick([2, 12, 5000]));
      pieces.push(bytes.subarray(at, at + size));
      at += size;
    }
    const whole = read([bytes]);
    expect(whole).toHaveLength(40);
    expect(read(pieces)).toEqual(whole);
  },
);

test.each([
  {
    what: 'a web server',
    answer: 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n',
    says: /speaks HTTP\/1, and is no etcd/,
  },
  {
    what: 'a server that expects TLS',
    answer: '\x15\x03\x01\x00\x02\x02\x46\x00\x00',
    says: /speaks TLS, .* begins with https/,
  },
  { what: 'anybody else', answer: 'SSH-2.0-OpenSSH_9.2p1\r\n', says: /^A frame of 5460808 bytes/ },
])('$what is named as what it is', ({ answer, says }) => {
  const bytes = Buffer.from(answer, 'latin1');
  expect(() => read([bytes])).toThrow(says);
  // Also where it comes in pieces.
  expect(() => read([bytes.subarray(0, 3), bytes.subarray(3)])).toThrow(says);
});

import { describe, expect, test } from '@jest/globals';
import { MessageWriter, attributesOf, messagesOf, textOf, u32Of } from '../../../kernel/netlink/message.ts';

describe('a netlink message', () => {
  test('is a header with length, type, flags and sequence, then attributes padded to four bytes', () => {
    const message = new MessageWriter(16, 5)
      .header(Buffer.from([1, 2, 3, 4]))
      .text(3, 'ab')
      .u8(9, 7)
      .finish(42);
    expect(message.toString('hex')).toBe(
      [
        '24000000',
        '1000',
        '0500',
        '2a000000',
        '00000000',
        '01020304',
        '0700',
        '0300',
        '61620000',
        '0500',
        '0900',
        '07000000',
      ].join(''),
    );
  });

  test('a nested attribute has the length of what it holds', () => {
    const message = new MessageWriter(16, 0).nest(18, (info) => info.text(1, 'veth').u32(2, 5)).finish(1);
    const outer = attributesOf(message.subarray(16));
    const inner = attributesOf(outer.get(18) ?? Buffer.alloc(0));
    expect([textOf(inner.get(1)), u32Of(inner.get(2))]).toEqual(['veth', 5]);
  });

  test('grows beyond its first buffer', () => {
    const writer = new MessageWriter(16, 0);
    for (let i = 1; i <= 100; i++) writer.u32(i, i);
    const attributes = attributesOf(writer.finish(1).subarray(16));
    expect([...attributes].map(([type, value]) => [type, u32Of(value)])).toEqual(
      Array.from({ length: 100 }, (_, i) => [i + 1, i + 1]),
    );
  });

  test('can be sent again under another sequence number', () => {
    const writer = new MessageWriter(16, 0).u32(1, 1);
    const first = Buffer.from(writer.finish(1));
    const second = writer.finish(0xffffffff);
    expect([first.readUInt32LE(8), second.readUInt32LE(8), second.length]).toEqual([1, 0xffffffff, first.length]);
  });

  test('a datagram is read message by message', () => {
    const datagram = Buffer.concat([new MessageWriter(16, 1).u8(1, 1).finish(7), new MessageWriter(17, 2).finish(8)]);
    const read = [...messagesOf(datagram)].map(({ type, flags, sequence, body }) => [
      type,
      flags,
      sequence,
      body.length,
    ]);
    expect(read).toEqual([
      [16, 1, 7, 8],
      [17, 2, 8, 0],
    ]);
  });

  test('a length that does not fit is refused', () => {
    const message = Buffer.from(new MessageWriter(16, 1).finish(7));
    message.writeUInt32LE(400, 0);
    expect(() => [...messagesOf(message)]).toThrow(RangeError);
  });

  test('attributes end where a broken one begins', () => {
    expect(attributesOf(Buffer.from('0800010001000000ff000200', 'hex'))).toEqual(
      new Map([[1, Buffer.from('01000000', 'hex')]]),
    );
  });
});

import { describe, expect, test } from '@jest/globals';
import { ProtocolError } from '../../../../../kvstore/contract/index.ts';
import {
  FrameReader,
  MessageTooLargeError,
  decodeGrpcMessage,
  encodeFrame,
  encodeGrpcMessage,
  putRequest,
} from '../../../../../kvstore/etcd/wire/index.ts';

const key = (text: string): Buffer => encodeFrame(putRequest, { key: new TextEncoder().encode(text) });

describe('gRPC frames', () => {
  test('begin with a zero byte and the length', () => {
    expect(key('k').toString('hex')).toBe('00000000030a016b');
    expect(encodeFrame(putRequest, {}).toString('hex')).toBe('0000000000');
  });

  test('come out whole however the bytes are cut', () => {
    const stream = Buffer.concat([key('one'), key(''), key('three'.repeat(100))]);
    for (const size of [1, 2, 3, 7, 64, 1000]) {
      const reader = new FrameReader({ maxBytes: 4096 });
      const lengths: number[] = [];
      for (let at = 0; at < stream.length; at += size) {
        for (const message of reader.push(stream.subarray(at, at + size))) lengths.push(message.length);
      }
      expect(lengths).toEqual([5, 0, 503]);
      expect(reader.idle).toBe(true);
    }
  });

  test('show that a stream ended inside one', () => {
    const reader = new FrameReader({ maxBytes: 100 });
    reader.push(key('k').subarray(0, 4));
    expect(reader.idle).toBe(false);
    reader.push(key('k').subarray(4, 5));
    expect(reader.idle).toBe(false);
  });

  test('are refused when too long, before their bytes come', () => {
    const reader = new FrameReader({ maxBytes: 10 });
    expect(() => reader.push(Buffer.from([0, 0, 0, 0, 11]))).toThrow(MessageTooLargeError);
  });

  test('are refused when compressed', () => {
    expect(() => new FrameReader({ maxBytes: 10 }).push(Buffer.from([1, 0, 0, 0, 1]))).toThrow(ProtocolError);
  });
});

describe('grpc-message', () => {
  test.each([
    ['etcdserver: key is not provided', 'etcdserver: key is not provided'],
    ['100% ü\n', '100%25 %C3%BC%0A'],
    [' a b ', '%20a b%20'],
  ])('%j travels as %j', (text, header) => {
    expect(encodeGrpcMessage(text)).toBe(header);
    expect(decodeGrpcMessage(header)).toBe(text);
  });

  test('keeps what is no valid escape', () => {
    expect(decodeGrpcMessage('5% of %zz %41')).toBe('5% of %zz A');
  });
});

import { describe, expect, test } from '@jest/globals';
import { errnoName, kernelError, socketAddress } from '../../../kernel/abi/index.ts';

describe('errno names', () => {
  test.each([
    [19, 'ENODEV'],
    [-17, 'EEXIST'],
    [11, 'EAGAIN'],
    [524, 'ENOTSUPP'],
    [4095, 'E4095'],
  ])('%i is %s', (errno, name) => {
    expect(errnoName(errno)).toBe(name);
  });

  test('an error names operation and errno', () => {
    expect(kernelError('Cannot create link lxc1', -17)).toMatchObject({
      name: 'KernelError',
      message: 'Cannot create link lxc1: EEXIST',
      errno: 17,
      code: 'EEXIST',
    });
  });
});

describe('socket addresses', () => {
  test.each([
    ['10.0.0.1', 80, '020000500a0000010000000000000000'],
    ['fd00::1', 8080, '0a001f9000000000fd00000000000000000000000000000100000000'],
  ])('%s port %i', (address, port, hex) => {
    expect(socketAddress(address, port).toString('hex')).toBe(hex);
  });

  test('a port beyond 16 bits is refused', () => {
    expect(() => socketAddress('10.0.0.1', 65536)).toThrow(RangeError);
  });
});

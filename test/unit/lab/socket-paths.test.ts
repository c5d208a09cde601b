import { describe, expect, test } from '@jest/globals';
import { SocketPathError, labPaths, requireSocketPaths } from '../../../lab/state/index.ts';

describe('names of a lab', () => {
  test('that fit into the path of a socket are accepted', () => {
    expect(() => requireSocketPaths(labPaths('lab'), [{ name: 'east', nodes: ['node-1'] }])).not.toThrow();
  });

  test('that do not fit are refused with the path and its limit', () => {
    const clusters = [{ name: 'e'.repeat(32), nodes: ['n'.repeat(40)] }];
    const check = (): void => requireSocketPaths(labPaths('l'.repeat(20)), clusters);
    expect(check).toThrow(SocketPathError);
    expect(check).toThrow(/too long together: .*agent\.sock has \d+ bytes, expected at most 107/);
  });
});

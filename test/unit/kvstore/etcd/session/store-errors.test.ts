import { describe, expect, test } from '@jest/globals';
import { CompactedError } from '../../../../../kvstore/index.ts';
import { GrpcError, storeError } from '../../../../../kvstore/etcd/session/index.ts';
import { isForAnother } from '../../../../../kvstore/etcd/session/store-errors.ts';

describe('a status of etcd', () => {
  test.each([
    { code: 11, text: 'etcdserver: mvcc: required revision has been compacted', is: 'CompactedError' },
    { code: 11, text: 'etcdserver: mvcc: required revision is a future revision', is: 'FutureRevisionError' },
    { code: 8, text: 'etcdserver: mvcc: database space exceeded', is: 'NoSpaceError' },
    { code: 8, text: 'etcdserver: too many requests', is: 'UnavailableError' },
    { code: 5, text: 'etcdserver: requested lease not found', is: 'LeaseNotFoundError' },
    { code: 3, text: 'etcdserver: too many operations in txn request', is: 'InvalidRequestError' },
    { code: 3, text: 'etcdserver: duplicate key given in txn request', is: 'InvalidRequestError' },
    { code: 3, text: 'etcdserver: request is too large', is: 'InvalidRequestError' },
    { code: 3, text: 'etcdserver: user name is empty', is: 'PermissionDeniedError' },
    { code: 3, text: 'etcdserver: authentication failed, invalid user ID or password', is: 'PermissionDeniedError' },
    { code: 3, text: 'etcdserver: revision of auth store is old', is: 'NotSentError' },
    { code: 7, text: 'etcdserver: permission denied', is: 'PermissionDeniedError' },
    { code: 14, text: 'etcdserver: request timed out', is: 'UnavailableError' },
    { code: 14, text: 'etcdserver: no leader', is: 'UnavailableError' },
    { code: 9, text: 'etcdserver: rpc not supported for learner', is: 'UnavailableError' },
    { code: 4, text: 'context deadline exceeded', is: 'UnavailableError' },
    { code: 12, text: 'unknown method Frob', is: 'InvalidRequestError' },
    { code: 15, text: 'etcdserver: corrupt cluster', is: 'ProtocolError' },
    { code: 2, text: '', is: 'ProtocolError' },
  ])('$code $text is a $is', ({ code, text, is }) => {
    const error = storeError(new GrpcError(code, text), 'read "a"');
    expect(error.constructor.name).toBe(is);
    expect(error.message).toContain('read "a"');
  });

  test.each([
    { text: 'no leader', another: true },
    { text: 'request timed out', another: true },
    { text: 'rpc not supported for learner', another: true },
    { text: 'server stopped', another: true },
    { text: 'too many requests', another: false },
    { text: 'leader changed', another: false },
  ])('that says "$text": another member would do better: $another', ({ text, another }) => {
    expect(isForAnother(storeError(new GrpcError(14, `etcdserver: ${text}`), 'read "a"'))).toBe(another);
  });

  test('bounds the compaction point by the revision that was asked for', () => {
    const error = storeError(
      new GrpcError(11, 'etcdserver: mvcc: required revision has been compacted'),
      'read "a"',
      41,
    );
    expect(error).toBeInstanceOf(CompactedError);
    expect((error as CompactedError).compactRevision).toBe(42);
    expect(error.message).toBe('Cannot read "a": revisions before 42 are compacted');
  });
});

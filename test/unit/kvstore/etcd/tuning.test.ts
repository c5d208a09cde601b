import { describe, expect, test } from '@jest/globals';
import { EtcdTuningError, parseEtcdTuning } from '../../../../kvstore/index.ts';

describe('options with Cilium’s names', () => {
  test('are Cilium’s unless told: twenty requests a second, as many in flight', () => {
    expect(parseEtcdTuning()).toEqual({ limits: { qps: 20, maxInflight: 20 } });
  });

  test('are read, a later one overriding an earlier one', () => {
    const options = ['etcd.qps=20', 'etcd.bootstrapQps=10000', 'etcd.qps=100', 'etcd.maxInflight=10', 'etcd.limit=256'];
    const times = ['etcd.keepaliveHeartbeat=15s', 'etcd.keepaliveTimeout=25s', 'etcd.operationTimeout=1m'];
    expect(parseEtcdTuning([...options, ...times])).toEqual({
      limits: { qps: 100, maxInflight: 10, bootstrapQps: 10_000 },
      maxPage: 256,
      pingIntervalMs: 15_000,
      pingTimeoutMs: 25_000,
      callTimeoutMs: 60_000,
    });
    expect(parseEtcdTuning(['etcd.limit=0'])).toEqual({ limits: { qps: 20, maxInflight: 20 } });
  });

  test.each([
    { text: 'etcd.qps=0', says: 'etcd.qps: expected a whole number of at least 1, not "0"' },
    { text: 'etcd.qps=fast', says: 'etcd.qps: expected a whole number of at least 1, not "fast"' },
    { text: 'etcd.maxInflight', says: 'etcd.maxInflight: expected etcd.maxInflight=VALUE' },
    { text: 'etcd.keepaliveHeartbeat=1s', says: 'expected a duration of at least 5500ms such as 15s, not "1s"' },
    { text: 'etcd.operationTimeout=soon', says: 'expected a duration' },
    { text: 'etcd.address=http://user:secret@host', says: 'etcd.address: there is no such option; there are etcd.qps' },
    { text: 'toString=1', says: 'there is no such option' },
  ])('are refused by name: $text', ({ text, says }) => {
    expect(() => parseEtcdTuning([text])).toThrow(EtcdTuningError);
    expect(() => parseEtcdTuning([text])).toThrow(says);
    expect(() => parseEtcdTuning([text])).not.toThrow(/secret/);
  });
});

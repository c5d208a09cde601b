import { describe, expect, test } from '@jest/globals';
import { labelFilter } from '../../../../clustermesh/index.ts';

function kept(patterns: readonly string[], ...keys: readonly string[]): string[] {
  const filter = labelFilter(patterns);
  return keys.filter((key) => filter({ source: 'k8s', key, value: 'x' }));
}

describe('Labels that make an identity', () => {
  test.each([
    { patterns: [], keys: ['app', 'team.example/x', 'app.kubernetes.io/name'], expected: 'all' },
    {
      patterns: [],
      keys: [
        'kubernetes.io/arch',
        'failure-domain.beta.kubernetes.io/zone',
        'k8s.io/x',
        'io.kubernetes.x',
        'pod-template-hash',
        'pod-template-generation',
        'controller-revision-hash',
        'annotation.x',
        'etcd_node',
        'statefulset.kubernetes.io/pod-name',
        'apps.kubernetes.io/pod-index',
        'batch.kubernetes.io/job-completion-index',
        'topology.kubernetes.io/zone',
        'topology.kubernetes.io/region',
      ],
      expected: 'none',
    },
    {
      patterns: [],
      keys: [
        'io.kubernetes.pod.namespace',
        'io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name',
        'io.cilium.k8s.policy.cluster',
        'io.cilium.k8s.policy.serviceaccount',
      ],
      expected: 'all',
    },
  ])('are by default $expected of $keys', ({ patterns, keys, expected }) => {
    expect(kept(patterns, ...keys)).toEqual(expected === 'all' ? keys : []);
  });

  test.each([
    // Once something is included by choice, nothing else is, but for what the defaults include.
    { patterns: ['k8s:app'], keep: ['app', 'application', 'io.cilium.k8s.policy.cluster'], drop: ['team', 'my-app'] },
    { patterns: ['app', 'team'], keep: ['app', 'team'], drop: ['tier'] },
    { patterns: ['!tier'], keep: ['app', 'team'], drop: ['tier', 'tier2'] },
    { patterns: ['k8s:!tier$'], keep: ['tier2'], drop: ['tier'] },
    { patterns: ['cni:!tier'], keep: ['tier'], drop: [] },
    // The longer match decides.
    { patterns: ['!foo', String.raw`foo\.bar`], keep: ['foo.bar', 'foo.bar.baz'], drop: ['foo', 'foo.b', 'app'] },
    { patterns: [String.raw`kubernetes\.io/arch`], keep: ['kubernetes.io/arch'], drop: ['kubernetes.io/os'] },
    { patterns: ['io.cilium.k8s.namespace.labels.!'], keep: [], drop: ['app'] },
  ])('are with $patterns among others $keep and not $drop', ({ patterns, keep, drop }) => {
    expect(kept(patterns, ...keep, ...drop)).toEqual(keep);
  });

  test.each([
    { patterns: [''], says: 'found ""' },
    { patterns: ['k8s:'], says: 'found "k8s:"' },
    { patterns: ['k8s:!'], says: 'found "k8s:!"' },
    { patterns: ['k8s:['], says: '"k8s:[" must be a regular expression' },
    { patterns: ['!.*'], says: 'must not leave out io.cilium.k8s.policy.cluster' },
  ])('cannot be $patterns', ({ patterns, says }) => {
    expect(() => labelFilter(patterns)).toThrow(says);
  });
});

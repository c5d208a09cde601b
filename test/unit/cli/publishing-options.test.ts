import { describe, expect, test } from '@jest/globals';
import { publishingOf, publishingOptions } from '../../../cli/publishing-options.ts';
import { UsageError, parseOptions } from '../../../runtime/options/index.ts';

function published(...argv: readonly string[]): ReturnType<typeof publishingOf> {
  return publishingOf(parseOptions(publishingOptions, { argv }).values);
}

describe('What an apiserver publishes', () => {
  test('is by default what a cluster of Kubernetes has, without service exports', () => {
    expect(published()).toEqual({
      kinds: ['Namespace', 'Node', 'Service', 'EndpointSlice', 'NetworkPolicy', 'Pod'],
      serviceV2: 'prefer-legacy',
      serviceExports: false,
      defaultGlobalNamespace: true,
      identityLabels: [],
    });
  });

  test.each([
    {
      argv: ['--clustermesh-enable-mcs-api'],
      expected: { serviceExports: true, kinds: expect.arrayContaining(['ServiceExport']) },
    },
    {
      argv: ['--source-mode', 'cilium'],
      expected: { kinds: expect.arrayContaining(['CiliumNode', 'CiliumEndpoint']) },
    },
    {
      argv: ['--source-mode=cilium', '--enable-cilium-endpoint-slice'],
      expected: { kinds: expect.arrayContaining(['CiliumEndpointSlice']) },
    },
    { argv: ['--clustermesh-service-v2', 'only-endpointslice'], expected: { serviceV2: 'only-endpointslice' } },
    { argv: ['--no-clustermesh-default-global-namespace'], expected: { defaultGlobalNamespace: false } },
    // As Cilium's ConfigMap spells it, and as options usually are.
    { argv: ['--labels', 'k8s:app  k8s:!tier'], expected: { identityLabels: ['k8s:app', 'k8s:!tier'] } },
    { argv: ['--labels', 'k8s:app', '--labels', 'k8s:!tier'], expected: { identityLabels: ['k8s:app', 'k8s:!tier'] } },
  ])('follows $argv', ({ argv, expected }) => {
    expect(published(...argv)).toMatchObject(expected);
  });

  test.each([
    { argv: ['--enable-cilium-endpoint-slice'], says: 'needs --source-mode cilium' },
    { argv: ['--source-mode=cilium', '--labels', 'app'], says: 'says nothing in --source-mode cilium' },
    { argv: ['--labels', 'k8s:('], says: '--labels: The label pattern "k8s:(" must be a regular expression' },
    { argv: ['--labels', '!io.cilium.k8s.policy.cluster'], says: 'must not leave out io.cilium.k8s.policy.cluster' },
    { argv: ['--clustermesh-service-v2', 'legacy'], says: 'prefer-legacy' },
  ])('cannot be $argv', ({ argv, says }) => {
    expect(() => published(...argv)).toThrow(UsageError);
    expect(() => published(...argv)).toThrow(says);
  });
});

import {
  type PeerFolder,
  admitCilium,
  ciliumHelmValues,
  ciliumSecret,
  endpointsBeyondHelm,
} from '../../clustermesh/index.ts';

/** What a cluster that runs Cilium is given, as one YAML text that `kubectl apply` takes: the values stand in comments. */
export async function inviteCilium(
  folder: PeerFolder,
  {
    name,
    id,
    namespace,
    nowMs,
  }: { readonly name: string; readonly id: number | undefined; readonly namespace: string; readonly nowMs: number },
): Promise<string> {
  const remote = await admitCilium(folder, { name, id, nowMs });
  const beyond = endpointsBeyondHelm(remote.endpoints);
  const helm = ciliumHelmValues(remote)
    .trimEnd()
    .split('\n')
    .map((line) => `# ${line}`);
  return [
    `# How the cluster ${name} follows ${folder.own.name}. This text holds a private key.`,
    '# Without Helm: the members of data are merged into what is there, by kubectl apply --server-side --field-manager isthmus -f FILE',
    '# For kvstoremesh:',
    ciliumSecret(remote, 'cilium-kvstoremesh', namespace).trimEnd(),
    '---',
    '# For the agents, which follow us themselves by it. Where kvstoremesh runs they may follow its copies instead: the same with the endpoint',
    `# https://clustermesh-apiserver.${namespace}.svc:2379 and the files local-etcd-client-ca.crt, .key and .crt, as for their other clusters.`,
    ciliumSecret(remote, 'cilium-clustermesh', namespace).trimEnd(),
    '---',
    '# With Helm: the same as values, instead of the Secrets above. To use them, take the # away.',
    ...(beyond.length === 0
      ? []
      : [`# Values know one port, and addresses or one name. Not told by them: ${beyond.join(', ')}`]),
    ...helm,
    '',
  ].join('\n');
}

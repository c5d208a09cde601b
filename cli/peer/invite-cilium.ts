import { type PeerFolder, admitCilium, ciliumHelmValues, ciliumSecret } from '../../clustermesh/index.ts';

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
  const helm = ciliumHelmValues(remote)
    .trimEnd()
    .split('\n')
    .map((line) => `# ${line}`);
  return [
    `# How the cluster ${name} follows ${folder.own.name}. This text holds a private key.`,
    '# Without Helm: add the members of data to the Secret of kvstoremesh, or of the agents where there is none.',
    '# These are merged into what is there: kubectl apply --server-side --field-manager isthmus -f FILE',
    ciliumSecret(remote, 'cilium-kvstoremesh', namespace).trimEnd(),
    '---',
    ciliumSecret(remote, 'cilium-clustermesh', namespace).trimEnd(),
    '---',
    '# With Helm: the same as values, instead of the Secrets above. To use them, take the # away.',
    ...helm,
    '',
  ].join('\n');
}

import { etcdShortcomings, etcdUsers, isMeshUser, ownKindPrefix } from '../../clustermesh/index.ts';
import {
  type AccessStep,
  AuthFileError,
  accessSteps,
  etcdAccessOf,
  etcdctlCommand,
  readUsersFile,
  takeAccessStep,
  toText,
} from '../../kvstore/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { type CommandContext, defineCommand } from '../command.ts';
import { formatJson, outputOptions } from '../output/index.ts';
import { refuseLockingOut } from './lock-out.ts';
import { addressFrom, openNamed, openNamedAdmin, storeDescription, storeOptions } from './named-store.ts';

/** `isthmus store users` */
export const storeUsers = defineCommand({
  description: `The users and roles that a cluster's store needs, in an etcd of your own: root, admin-C, local-C, remote, the peers of the users
file, and agent-NODE for each node that the apiserver has written (and --agent-node). They have no passwords: the common name of a
client's certificate says who it is, so the etcd needs --client-cert-auth. Prints what is missing as etcdctl would do it;
--apply does it. What is right already stays untouched. Exit code 1 when something is missing and --apply was not given.
${storeDescription}`,
  options: defineOptions({
    'cluster-name': { type: 'string', required: true, placeholder: 'C', help: 'Whose store it is' },
    'users-file': {
      type: 'string',
      placeholder: 'FILE',
      help: 'Peers and other users (users.yaml of --peer-dir, or of Cilium)',
    },
    'agent-node': { type: 'list', help: 'More nodes whose agents are users' },
    apply: { type: 'boolean', help: 'Make it so' },
    prune: {
      type: 'boolean',
      help: 'Also delete users remote-X that the users file does not name, and agent-NODE of unknown nodes',
    },
    'enable-auth': {
      type: 'boolean',
      help: 'With --apply: switch authentication on then; refused if that would lock you out',
    },
    ...storeOptions,
    ...outputOptions,
  }),
  examples: [
    'isthmus store users --cluster-name east --store etcd:/etc/isthmus/etcd.yaml',
    'isthmus store users --cluster-name east --store etcd:/etc/isthmus/etcd.yaml --users-file /var/lib/isthmus/peers/users.yaml --prune --apply',
  ],
  ends: true,
  run: async (context, { options }) => {
    const { clusterName, prune, apply, enableAuth } = options;
    if (enableAuth && !apply)
      throw new UsageError('--enable-auth needs --apply', { option: '--enable-auth', hint: 'give both' });
    const file = options.usersFile === undefined ? undefined : await usersIn(options.usersFile);
    if (prune && !file)
      throw new UsageError('--prune needs --users-file: without it no peer is known, so every one would go', {
        option: '--prune',
        hint: 'name the users file',
      });
    const { admin, target } = await openNamedAdmin(context, addressFrom(options));
    await using _admin = admin;
    const nodes = [...new Set([...(await nodesIn(context, options)), ...options.agentNode])].toSorted();
    const wanted = { clusterName, nodes, file };
    const desired = asUsage(() => etcdAccessOf(etcdUsers(wanted)));
    const actual = { users: await admin.users(), roles: await admin.roles() };
    const steps = accessSteps(desired, actual, prune ? isMeshUser : undefined);
    if (enableAuth) await refuseLockingOut(target, [...desired.users, ...actual.users], context.clock);
    if (apply) for (const step of steps) await takeAccessStep(admin, step);
    if (enableAuth) await admin.enableAuth();
    const report = { applied: apply, authEnabled: enableAuth, steps, notes: etcdShortcomings(wanted) };
    context.stdout(options.output === 'json' ? jsonOf(report) : textOf(report));
    return apply || steps.length === 0 ? 0 : 1;
  },
});

interface Report {
  readonly applied: boolean;
  readonly authEnabled: boolean;
  readonly steps: readonly AccessStep[];
  readonly notes: readonly string[];
}

function textOf({ applied, authEnabled, steps, notes }: Report): string {
  const done = steps.length === 0 ? 'Nothing is missing' : applied ? `Took ${steps.length} steps` : '';
  return [
    ...steps.map(etcdctlCommand),
    ...(authEnabled ? ['etcdctl auth enable'] : []),
    ...(done === '' ? [] : [`# ${done}`]),
    ...notes.map((note) => `# Note: ${note}`),
    '',
  ].join('\n');
}

function jsonOf({ steps, ...report }: Report): string {
  const shown = steps.map((step) => {
    if (step.action !== 'grant' && step.action !== 'revoke') return { ...step, command: etcdctlCommand(step) };
    const { key, rangeEnd, access } = step.permission;
    const permission = { access, key: toText(key), rangeEnd: toText(rangeEnd) };
    return { ...step, permission, command: etcdctlCommand(step) };
  });
  return formatJson({ ...report, steps: shown });
}

/** Every node that the apiserver has written down. */
async function nodesIn(context: CommandContext, options: Parameters<typeof addressFrom>[0]): Promise<string[]> {
  const prefix = ownKindPrefix('nodes');
  await using opened = await openNamed(context, addressFrom(options));
  const nodes: string[] = [];
  for await (const { entries } of opened.store.list(prefix, { signal: context.signal }))
    nodes.push(...entries.map(({ key }) => toText(key).slice(prefix.length)).filter((name) => !name.includes('/')));
  return nodes;
}

async function usersIn(path: string): Promise<Awaited<ReturnType<typeof readUsersFile>>> {
  try {
    return await readUsersFile(path);
  } catch (error) {
    if (!(error instanceof AuthFileError)) throw error;
    throw new UsageError(error.message, { option: '--users-file', cause: error });
  }
}

function asUsage<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(error.message, { hint: 'correct --users-file or --agent-node', cause: error });
  }
}

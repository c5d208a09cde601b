import { toText } from '../../contract/index.ts';
import type { EtcdAccess, EtcdPermission } from '../admin.ts';
import type { AccessStep } from './access-steps.ts';

/** The step as one would type it, so that it can be read, kept, or taken by hand. */
export function etcdctlCommand(step: AccessStep): string {
  return ['etcdctl', ...argumentsOf(step)].map(quoted).join(' ');
}

function argumentsOf(step: AccessStep): readonly string[] {
  switch (step.action) {
    case 'add-role':
      return ['role', 'add', step.role];
    case 'delete-role':
      return ['role', 'delete', step.role];
    case 'grant':
      return ['role', 'grant-permission', step.role, accessNames[step.permission.access], ...rangeOf(step.permission)];
    case 'revoke':
      return ['role', 'revoke-permission', step.role, ...rangeOf(step.permission)];
    case 'add-user':
      return ['user', 'add', step.user, '--no-password'];
    case 'delete-user':
      return ['user', 'delete', step.user];
    case 'grant-role':
      return ['user', 'grant-role', step.user, step.role];
    case 'revoke-role':
      return ['user', 'revoke-role', step.user, step.role];
  }
}

const accessNames: Readonly<Record<EtcdAccess, string>> = {
  read: 'read',
  write: 'write',
  'read-write': 'readwrite',
};

function rangeOf({ key, rangeEnd }: EtcdPermission): readonly string[] {
  const from = key.length === 1 && key[0] === 0 ? '' : toText(key);
  if (rangeEnd.length === 0) return [from];
  if (rangeEnd.length === 1 && rangeEnd[0] === 0) return [from, '--from-key'];
  return [from, toText(rangeEnd)];
}

function quoted(word: string): string {
  return /^[\w./:@=-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

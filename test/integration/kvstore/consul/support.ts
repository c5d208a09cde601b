import { type ConsulStore, type ConsulStoreOptions, openConsulStore } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import type { ConsulProcess } from '../../../support/consul.ts';

/** A client of a test's server; waits are short, since tests wait for them to end. */
export function clientOf(server: ConsulProcess, options: Partial<ConsulStoreOptions> = {}): ConsulStore {
  return openConsulStore({
    addresses: [server.endpoint],
    clock: systemClock,
    log: silentLogger,
    waitSeconds: 2,
    ...options,
  });
}

export async function json(server: ConsulProcess, method: string, path: string, body: unknown): Promise<unknown> {
  const { status, text } = await server.call(method, path, JSON.stringify(body));
  if (status !== 200) throw new Error(`${method} ${path}: ${status} ${text}`);
  return JSON.parse(text);
}

/** A new ACL token with these rules. */
export async function tokenFor(server: ConsulProcess, name: string, rules: string): Promise<string> {
  await json(server, 'PUT', '/v1/acl/policy', { Name: name, Rules: rules });
  const made = (await json(server, 'PUT', '/v1/acl/token', { Policies: [{ Name: name }] })) as { SecretID: string };
  return made.SecretID;
}

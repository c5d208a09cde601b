import { jest } from '@jest/globals';
import { openEtcdStore } from '../../../kvstore/index.ts';
import { systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { etcdctl, startEtcd } from '../../support/etcd.ts';
import { needs } from '../../support/probe.ts';
import { describeStore } from './describe-store.ts';

jest.setTimeout(60_000);

needs('etcd')('with a real server', () => {
  describeStore(
    'Store of etcd 3.6',
    async () => {
      const server = await startEtcd();
      const run = async (args: readonly string[]): Promise<void> => {
        const { code, stderr } = await etcdctl(server.endpoint, args);
        if (code !== 0) throw new Error(`etcdctl ${args.join(' ')}: ${stderr}`);
      };
      const connect = () => openEtcdStore({ endpoints: [server.endpoint], clock: systemClock, log: silentLogger });
      const store = connect();
      return {
        store,
        another: async () => connect(),
        restart: async () => {
          await server.restart();
          return store;
        },
        compact: (revision) => run(['compact', `${revision}`]),
        revokeLease: (id) => run(['lease', 'revoke', id.toString(16)]),
        dispose: async () => {
          await store[Symbol.asyncDispose]();
          await server[Symbol.asyncDispose]();
        },
      };
    },
    { restarts: true, resumes: true, openTimeoutMs: 600_000 },
  );
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openApiServer } from '../../../../kubernetes/index.ts';
import { systemClock as clock } from '../../../../runtime/clock/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-connect-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const kubeconfig = (user = '{token: secret-word}'): string => `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443"}}]
users: [{name: u, user: ${user}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: mesh}}]
current-context: x
`;

describe('A way to an API server', () => {
  test('is the current context of a kubeconfig', async () => {
    const api = await openApiServer({ kubeconfig: write('config', kubeconfig()), clock });
    expect(api).toMatchObject({ description: 'https://10.0.0.1:6443', namespace: 'mesh' });
  });

  test('is what a pod was given', async () => {
    write('token', 'abc');
    write('namespace', 'isthmus-system\n');
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    const api = await openApiServer({ clock, env, serviceAccountRoot: folder });
    expect(api).toMatchObject({ description: 'https://[fd00::1]:443', namespace: 'isthmus-system' });
  });

  test.each([
    ['clusters: [', 'is no kubeconfig'],
    ['just words', 'is no kubeconfig'],
    [kubeconfig('{token: secret-word, tokenFile: [').replace('current-context: x', ''), 'is no kubeconfig'],
    [kubeconfig().replace('current-context: x', 'current-context: y'), 'has no cluster for its current context'],
    [kubeconfig().replace('cluster: c,', 'cluster: d,'), 'has no cluster for its current context'],
  ])('is refused by file, without quoting what stands in it', async (text, message) => {
    const path = write('config', text);
    const refused = openApiServer({ kubeconfig: path, clock });
    await expect(refused).rejects.toMatchObject({
      code: 'KUBERNETES_CONFIG',
      message: expect.stringContaining(message),
    });
    await expect(refused).rejects.toMatchObject({ message: expect.stringContaining(path) });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('secret-word') });
  });

  test.each([{}, { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' }])(
    'is missing outside of a pod: %j',
    async (env) => {
      const opening = openApiServer({ clock, env, serviceAccountRoot: folder });
      await expect(opening).rejects.toMatchObject({
        code: 'KUBERNETES_CONFIG',
        message: expect.stringContaining('This is no pod of a Kubernetes cluster'),
      });
    },
  );

  test('is missing where the file is', async () => {
    const path = join(folder, 'nothing');
    await expect(openApiServer({ kubeconfig: path, clock })).rejects.toThrow(`Cannot read the kubeconfig ${path}`);
  });
});

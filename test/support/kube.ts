import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { type BinarySpec, builtBinary } from './built-binary.ts';
import { type EtcdProcess, freePort, startEtcd } from './etcd.ts';
import { type KubeObject, pathOf } from './kube-paths.ts';
import { ServerProcess, started } from './server-process.ts';

export const kubeVersion = '1.35.8';

const versionPackage = 'k8s.io/component-base/version';

export const kubeApiserverBinary: BinarySpec = {
  name: 'kube-apiserver',
  version: kubeVersion,
  module: new URL('../servers/kube/', import.meta.url),
  mainPackage: 'k8s.io/kubernetes/cmd/kube-apiserver',
  linked: {
    [`${versionPackage}.gitVersion`]: `v${kubeVersion}`,
    [`${versionPackage}.gitMajor`]: '1',
    [`${versionPackage}.gitMinor`]: '35',
  },
  override: 'ISTHMUS_TEST_KUBE_APISERVER',
};

/** Whoever has it may do everything. */
export const adminToken = 'admin-token';

export interface StartKubeOptions {
  /** More tokens, by user name (`system:serviceaccount:NAMESPACE:NAME` is a service account): they may do nothing by themselves. */
  readonly tokens?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  /** What it keeps its data in, and disposes of; a real etcd unless given. */
  readonly etcd?: EtcdProcess;
}

export interface KubeAnswer {
  readonly status: number;
  readonly text: string;
  readonly json: unknown;
}

/** A real kube-apiserver over a real etcd (or what takes its place), on loopback, without any controller. Disposing of it ends both. */
export interface KubeProcess extends AsyncDisposable {
  readonly port: number;
  /** As `https://127.0.0.1:PORT`; the same after a restart. */
  readonly server: string;
  /** The certificate that it serves, which is its own authority. */
  readonly caFile: string;
  readonly etcd: EtcdProcess;
  readonly pid: number | undefined;
  /** Ends it at once (SIGKILL). */
  kill(): Promise<void>;
  /** Starts it again, after killing it if need be, on the same port and data. */
  restart(): Promise<void>;
  /** Freezes it: connections stay, nothing is answered. */
  pause(): void;
  resume(): void;
  /** One plain call, past the client under test. */
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<KubeAnswer>;
  /** Makes or changes objects given as YAML, their status too. @throws when one is refused, or has a member that the API does not know. */
  apply(yaml: string): Promise<void>;
  /** @throws unless it is gone or was not there. */
  remove(object: KubeObject): Promise<void>;
  /** Writes a kubeconfig and gives its path. */
  kubeconfig(name: string, user: { readonly token?: string; readonly tokenFile?: string }, server?: string): string;
  readonly folder: string;
}

export interface CallOptions {
  readonly token?: string;
  readonly contentType?: string;
}

export async function startKube(options: StartKubeOptions = {}): Promise<KubeProcess> {
  const binary = await builtBinary(kubeApiserverBinary);
  return started(async () => new Kube(binary, options.etcd ?? (await startEtcd()), await freePort(), options));
}

class Kube extends ServerProcess implements KubeProcess {
  readonly port: number;
  readonly etcd: EtcdProcess;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 });
  #ca: string | undefined;

  constructor(binary: string, etcd: EtcdProcess, port: number, options: StartKubeOptions) {
    super({
      title: 'kube-apiserver',
      name: 'kube',
      binary,
      args: () => flagsOf(this, options),
      isReady: async () => existsSync(this.caFile) && (await this.call('GET', '/readyz')).status === 200,
      readyMs: 120_000,
    });
    this.etcd = etcd;
    this.port = port;
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    writeFileSync(join(this.folder, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    writeFileSync(join(this.folder, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const users = Object.entries(options.tokens ?? {}).map(([user, token]) => `${token},${user},${user}\n`);
    writeFileSync(
      join(this.folder, 'tokens.csv'),
      `${adminToken},admin,admin-uid,"system:masters"\n${users.join('')}`,
      { mode: 0o600 },
    );
  }

  get server(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get caFile(): string {
    return join(this.folder, 'apiserver.crt');
  }

  async call(method: string, path: string, body?: unknown, options: CallOptions = {}): Promise<KubeAnswer> {
    const ca = this.#ca ?? readFileSync(this.caFile, 'utf8');
    const { token = adminToken, contentType = 'application/json' } = options;
    return new Promise((resolve, reject) => {
      const asked = request(
        `${this.server}${path}`,
        {
          method,
          agent: this.#agent,
          ca,
          headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': contentType }) },
        },
        (response) => {
          // Only what has proved good: the file may be read while the server writes it.
          this.#ca = ca;
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => (text += part));
          response.on('end', () => {
            const isJson = response.headers['content-type']?.startsWith('application/json') === true;
            resolve({ status: response.statusCode ?? 0, text, json: isJson ? jsonOf(text) : undefined });
          });
          response.on('error', reject);
        },
      );
      asked.on('error', reject);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  async apply(yaml: string): Promise<void> {
    for (const document of parseAllDocuments(yaml)) {
      const object = document.toJS() as KubeObject | null;
      if (object === null) continue;
      const path = pathOf(object);
      const query = '?fieldManager=test&force=true&fieldValidation=Strict';
      const options = { contentType: 'application/apply-patch+yaml' };
      const made = await this.call('PATCH', path + query, object, options);
      if (made.status >= 300) throw new Error(`Cannot apply ${path}: ${made.status} ${made.text}`);
      if (object.kind === 'CustomResourceDefinition') await this.#served(object);
      if (object.status === undefined || object.kind.startsWith('Cilium')) continue;
      const { apiVersion, kind, metadata, status } = object;
      const { name, namespace } = metadata;
      const patch = { apiVersion, kind, metadata: { name, ...(namespace ? { namespace } : {}) }, status };
      const changed = await this.call('PATCH', `${path}/status${query}`, patch, options);
      if (changed.status >= 300) throw new Error(`Cannot apply ${path}/status: ${changed.status} ${changed.text}`);
    }
  }

  async remove(object: KubeObject): Promise<void> {
    const path = pathOf(object);
    const { status, text } = await this.call('DELETE', `${path}?gracePeriodSeconds=0`);
    if (status >= 300 && status !== 404) throw new Error(`Cannot remove ${path}: ${status} ${text}`);
  }

  kubeconfig(name: string, user: { token?: string; tokenFile?: string }, server = this.server): string {
    const path = join(this.folder, `${name}.kubeconfig`);
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server, 'certificate-authority': this.caFile } }],
      users: [{ name: 'test', user }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    };
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    this.#agent.destroy();
    await this.etcd[Symbol.asyncDispose]();
  }

  /** A new resource can be asked for a moment after its definition was taken. */
  async #served({ spec }: KubeObject): Promise<void> {
    const { group, names, versions } = spec as {
      group: string;
      names: { plural: string };
      versions: { name: string; served: boolean }[];
    };
    for (const { name } of versions.filter(({ served }) => served)) {
      const deadline = performance.now() + 60_000;
      while ((await this.call('GET', `/apis/${group}/${name}/${names.plural}?limit=1`)).status !== 200) {
        if (performance.now() > deadline)
          throw new Error(`${names.plural}.${group}/${name} was not served within 60 s`);
        await sleep(20);
      }
    }
  }
}

function flagsOf({ etcd, port, folder }: Kube, options: StartKubeOptions): string[] {
  return [
    `--etcd-servers=${etcd.endpoint}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${folder}`,
    '--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112',
    '--endpoint-reconciler-type=none',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${join(folder, 'sa.pub')}`,
    `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
    '--authorization-mode=RBAC',
    `--token-auth-file=${join(folder, 'tokens.csv')}`,
    '--disable-admission-plugins=ServiceAccount',
    '--profiling=false',
    ...(options.flags ?? []),
  ];
}

/** A watch is answered with one document a line: that is left to who reads it. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

import { existsSync, readFileSync } from 'node:fs';
import { Agent, type RequestOptions } from 'node:https';
import { dirname, isAbsolute, join } from 'node:path';
// The one file that imports it: kubeconfigs, and every way to prove who one is.
import { KubeConfig } from '@kubernetes/client-node';
import type { Clock } from '../../runtime/clock/index.ts';
import { parseQuietYaml } from '../../runtime/files/index.ts';
import type { ApiServer } from './api-server.ts';
import { ConfigError } from './config-error.ts';
import { send } from './send.ts';

export interface ConnectOptions {
  /** A kubeconfig; absent: what the pod we run in was given. */
  readonly kubeconfig?: string;
  readonly clock: Clock;
  /** Where a pod finds its token, authority and namespace; for tests. */
  readonly serviceAccountRoot?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * An API server by kubeconfig or from within a pod. The library gives the credentials, anew for each request: tokens and
 * certificates that are replaced are used within a minute, a changed kubeconfig at once. Requests go over `node:https`.
 * @throws {ConfigError} when there is no usable configuration.
 */
export function connectApiServer(options: ConnectOptions): ApiServer {
  const { clock } = options;
  const source = new Configuration(options);
  const agent = new Agent({ keepAlive: true, keepAliveMsecs: 10_000, maxFreeSockets: 4 });
  return {
    description: source.cluster().server,
    namespace: source.namespace(),
    refresh: () => source.forget(),
    request: async (method, path, request) => {
      const cluster = source.cluster();
      const credentials: RequestOptions = {};
      await source.config().applyToHTTPSOptions(credentials);
      // The library's agents keep the authority and the certificate they were made with; a proxy needs one of them.
      if (cluster.proxyUrl === undefined && cluster.server.startsWith('https:')) credentials.agent = agent;
      return send({ server: cluster.server, method, path, credentials }, request, clock);
    },
  };
}

class Configuration {
  readonly #options: ConnectOptions;
  #text: string | undefined;
  #config: KubeConfig | undefined;

  constructor(options: ConnectOptions) {
    this.#options = options;
  }

  /** The same object as long as the file is the same: it keeps what a credential plugin said until that expires. */
  config(): KubeConfig {
    const { kubeconfig } = this.#options;
    if (kubeconfig === undefined) return (this.#config ??= this.#ofPod());
    const text = readConfig(kubeconfig);
    if (!this.#config || text !== this.#text) this.#config = fromText(text, kubeconfig);
    this.#text = text;
    return this.#config;
  }

  cluster(): { readonly server: string; readonly proxyUrl?: string } {
    const cluster = this.config().getCurrentCluster();
    if (cluster) return cluster;
    throw new ConfigError(`${this.#options.kubeconfig} has no cluster for its current context`);
  }

  forget(): void {
    this.#config = undefined;
  }

  namespace(): string | undefined {
    const config = this.config();
    if (this.#options.kubeconfig !== undefined) return config.getContextObject(config.getCurrentContext())?.namespace;
    const path = join(this.#root(), 'namespace');
    return existsSync(path) ? readFileSync(path, 'utf8').trim() || undefined : undefined;
  }

  #root(): string {
    return this.#options.serviceAccountRoot ?? '/var/run/secrets/kubernetes.io/serviceaccount';
  }

  #ofPod(): KubeConfig {
    const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = this.#options.env ?? process.env;
    const tokenFile = join(this.#root(), 'token');
    if (!host || !port || !existsSync(tokenFile))
      throw new ConfigError(
        `This is no pod of a Kubernetes cluster (KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and ${tokenFile} are needed): name a kubeconfig`,
      );
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      {
        name: 'pod',
        server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
        caFile: join(this.#root(), 'ca.crt'),
        skipTLSVerify: false,
      },
      { name: 'pod', authProvider: { name: 'tokenFile', config: { tokenFile } } },
    );
    return config;
  }
}

function readConfig(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError(`Cannot read the kubeconfig ${path}: ${messageOf(cause)}`, { cause });
  }
}

function fromText(text: string, path: string): KubeConfig {
  const config = new KubeConfig();
  try {
    config.loadFromString(JSON.stringify(withTokenFiles(parseQuietYaml(text), dirname(path))));
  } catch (cause) {
    // Not the error of the parser itself: it may quote a credential.
    throw new ConfigError(`${path} is no kubeconfig`, { cause: cause instanceof ConfigError ? cause : undefined });
  }
  config.makePathsAbsolute(dirname(path));
  return config;
}

/** `tokenFile` is a member that kubectl knows and the library does not; it reads such files by a provider of its own. */
function withTokenFiles(raw: unknown, folder: string): unknown {
  if (typeof raw !== 'object' || raw === null) throw new ConfigError('not an object');
  const users: unknown = (raw as { users?: unknown }).users;
  if (!Array.isArray(users)) return raw;
  return {
    ...raw,
    users: users.map((entry: { user?: { tokenFile?: unknown } } | null) => {
      const file = entry?.user?.tokenFile;
      if (typeof file !== 'string') return entry;
      const tokenFile = isAbsolute(file) ? file : join(folder, file);
      return { ...entry, user: { ...entry?.user, 'auth-provider': { name: 'tokenFile', config: { tokenFile } } } };
    }),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BinarySpec, builtBinary } from './built-binary.ts';
import { freePort } from './etcd.ts';
import { ServerProcess, started } from './server-process.ts';

export const consulVersion = '1.22.7';

export const consulBinary: BinarySpec = {
  name: 'consul',
  version: consulVersion,
  module: new URL('../servers/consul/', import.meta.url),
  mainPackage: 'github.com/hashicorp/consul',
  override: 'ISTHMUS_TEST_CONSUL',
};

export interface StartConsulOptions {
  /** `dev`: in memory, gone with the process. `disk`: one server that keeps its data across `restart`. */
  readonly mode?: 'dev' | 'disk';
  /** Turns ACLs on, default policy deny, with this management token (a UUID). */
  readonly managementToken?: string;
  /** More configuration, in HCL. */
  readonly hcl?: string;
  /** Listens with TLS on this port, too; certificates come by `hcl`. */
  readonly httpsPort?: number;
  /** Listens on this Unix socket, too. */
  readonly socketPath?: string;
}

/** A real Consul agent in server mode on loopback. Disposing of it ends the process and removes its data. */
export interface ConsulProcess extends AsyncDisposable {
  /** As `http://127.0.0.1:PORT`; the same after a restart. */
  readonly endpoint: string;
  readonly port: number;
  readonly pid: number | undefined;
  /** Ends it at once (SIGKILL). */
  kill(): Promise<void>;
  /** Freezes it: connections stay, nothing is answered. */
  pause(): void;
  resume(): void;
  /** Starts it again, after killing it if need be, on the same ports; with its data if it keeps any. */
  restart(): Promise<void>;
  /** Forgets everything and starts again: another store at the same address. */
  wipe(): Promise<void>;
  /** One plain HTTP call, past the adapter under test. */
  call(method: string, path: string, body?: string | Buffer, token?: string): Promise<ConsulAnswer>;
}

export interface ConsulAnswer {
  readonly status: number;
  readonly text: string;
  readonly index: number;
}

export async function startConsul(options: StartConsulOptions = {}): Promise<ConsulProcess> {
  const binary = await builtBinary(consulBinary);
  return started(async () => {
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    return new Consul(binary, ports, options);
  });
}

/** Three servers on loopback that elect a leader among them. */
export interface ConsulCluster extends AsyncDisposable {
  readonly members: readonly ConsulProcess[];
  /** The member that leads now, as another one says. */
  leader(): Promise<ConsulProcess>;
}

export async function startConsulCluster(): Promise<ConsulCluster> {
  const binary = await builtBinary(consulBinary);
  const ports = await Promise.all(Array.from({ length: 9 }, freePort));
  const serfPorts = [2, 5, 8].map((i) => ports[i] ?? 0);
  const members = [0, 1, 2].map((i) => {
    const options = { mode: 'disk', name: `t${i}`, join: serfPorts } as const;
    return new Consul(binary, ports.slice(i * 3, i * 3 + 3), options);
  });
  const dispose = async (): Promise<void> => {
    await Promise.all(members.map((member) => member[Symbol.asyncDispose]()));
  };
  try {
    await Promise.all(members.map((member) => member.restart()));
  } catch (error) {
    await dispose();
    throw error;
  }
  const leader = async (): Promise<ConsulProcess> => {
    for (;;) {
      for (const member of members) {
        if (member.pid === undefined) continue;
        const { text } = await member.call('GET', '/v1/status/leader').catch(() => ({ text: '""' }));
        const led = members.find(({ serverPort }) => text.includes(`:${serverPort}"`));
        if (led?.pid !== undefined) return led;
      }
      await sleep(50);
    }
  };
  return { members, leader, [Symbol.asyncDispose]: dispose };
}

interface ConsulOptions extends StartConsulOptions {
  readonly name?: string;
  /** Serf ports of all members of a cluster. */
  readonly join?: readonly number[];
}

class Consul extends ServerProcess implements ConsulProcess {
  readonly port: number;
  readonly serverPort: number;
  readonly #token: string | undefined;

  constructor(binary: string, ports: readonly number[], options: ConsulOptions) {
    super({
      title: 'Consul',
      name: 'consul',
      binary,
      args: () => argumentsOf(this.#dataDir, ports, options),
      env: cleanEnvironment(),
      isReady: () => this.#isReady(),
    });
    [this.port = 0, this.serverPort = 0] = ports;
    this.#token = options.managementToken;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get #dataDir(): string {
    return join(this.folder, 'data');
  }

  async wipe(): Promise<void> {
    await this.kill();
    rmSync(this.#dataDir, { recursive: true, force: true });
    await this.restart();
  }

  async call(method: string, path: string, body?: string | Buffer, token?: string): Promise<ConsulAnswer> {
    return plainCall(this.endpoint, method, path, body, token ?? this.#token);
  }

  /** Ready once a write passes: a leader is there and its ACLs, if any, are. */
  async #isReady(): Promise<boolean> {
    const { status } = await this.call('PUT', '/v1/kv/ready', 'x');
    if (status !== 200) return false;
    await this.call('DELETE', '/v1/kv/ready');
    return true;
  }
}

function argumentsOf(dataDir: string, [http, server, serf]: readonly number[], options: ConsulOptions): string[] {
  const { mode = 'dev', managementToken, hcl, socketPath, httpsPort = -1, name = 't', join: members = [] } = options;
  const acl = `acl { enabled = true default_policy = "deny" tokens { initial_management = "${managementToken}" } }`;
  // Elections on one machine need not wait for a network.
  const disk = [
    '-server',
    `-bootstrap-expect=${members.length || 1}`,
    ...members.map((port) => `-retry-join=127.0.0.1:${port}`),
    '-retry-interval=200ms',
    '-hcl=performance { raft_multiplier = 1 } connect { enabled = true }',
  ];
  return [
    'agent',
    ...(mode === 'dev' ? ['-dev'] : [...disk, `-data-dir=${dataDir}`]),
    `-node=${name}`,
    '-log-level=warn',
    '-bind=127.0.0.1',
    '-client=127.0.0.1',
    ...(socketPath === undefined ? [] : [`-hcl=addresses { http = "127.0.0.1 unix://${socketPath}" }`]),
    `-http-port=${http}`,
    `-server-port=${server}`,
    `-serf-lan-port=${serf}`,
    `-https-port=${httpsPort}`,
    ...['serf-wan', 'dns', 'grpc', 'grpc-tls'].map((other) => `-${other}-port=-1`),
    '-hcl=disable_update_check = true',
    ...(managementToken === undefined ? [] : [`-hcl=${acl}`]),
    ...(hcl === undefined ? [] : [`-hcl=${hcl}`]),
  ];
}

/** Certificates as Consul's own tool makes them, in a folder. */
export interface ConsulCertificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export async function makeCertificates(folder: string): Promise<ConsulCertificates> {
  const binary = await builtBinary(consulBinary);
  const run = (...args: readonly string[]): unknown =>
    execFileSync(binary, ['tls', ...args], { cwd: folder, stdio: 'pipe' });
  run('ca', 'create');
  run('cert', 'create', '-server', '-dc=dc1', '-additional-ipaddress=127.0.0.1');
  const path = (name: string): string => join(folder, name);
  return {
    ca: path('consul-agent-ca.pem'),
    cert: path('dc1-server-consul-0.pem'),
    key: path('dc1-server-consul-0-key.pem'),
  };
}

/** One HTTP call to a Consul agent without any cleverness. */
export function plainCall(
  endpoint: string,
  method: string,
  path: string,
  body?: string | Buffer,
  token?: string,
): Promise<ConsulAnswer> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { 'x-consul-token': token };
    const call = request(`${endpoint}${path}`, { method, headers, agent: false, timeout: 20_000 }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('error', reject);
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, text, index: Number(answer.headers['x-consul-index'] ?? 0) }),
      );
    });
    call.on('timeout', () => call.destroy(new Error(`${method} ${path} was not answered`)));
    call.on('error', reject);
    call.end(body);
  });
}

/** Variables such as CONSUL_HTTP_ADDR of whoever runs the tests must not matter. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CONSUL_')));
}

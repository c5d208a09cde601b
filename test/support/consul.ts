import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BinarySpec, builtBinary } from './built-binary.ts';
import { freePort } from './etcd.ts';

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
  for (let attempt = 1; ; attempt++) {
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    const server = new Consul(binary, ports, options);
    try {
      await server.restart();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      // Another process may have taken a port between the look and the start.
      const taken = error instanceof Error && error.message.includes('address already in use');
      if (!taken || attempt >= 5) throw error;
    }
  }
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

class Consul implements ConsulProcess {
  readonly port: number;
  readonly #binary: string;
  readonly #ports: readonly number[];
  readonly #options: ConsulOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'isthmus-consul-'));
  readonly #atExit = (): void => {
    this.#child?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  };
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #said = '';

  constructor(binary: string, ports: readonly number[], options: ConsulOptions) {
    this.#binary = binary;
    this.#ports = ports;
    this.port = ports[0] ?? 0;
    this.#options = options;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get serverPort(): number {
    return this.#ports[1] ?? 0;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  async kill(): Promise<void> {
    if (this.#child === undefined) return;
    this.#child.kill('SIGKILL');
    await this.#exited;
    process.off('exit', this.#atExit);
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  async restart(): Promise<void> {
    await this.kill();
    process.once('exit', this.#atExit);
    const child = spawn(this.#binary, this.#arguments(), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: cleanEnvironment(),
    });
    this.#child = child;
    this.#said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (this.#said = (this.#said + text).slice(-8000)));
    this.#exited = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('close', () => resolve());
    }).then(() => {
      if (this.#child === child) this.#child = undefined;
    });
    await this.#ready();
  }

  async wipe(): Promise<void> {
    await this.kill();
    rmSync(join(this.#folder, 'data'), { recursive: true, force: true });
    await this.restart();
  }

  async call(method: string, path: string, body?: string | Buffer, token?: string): Promise<ConsulAnswer> {
    return plainCall(this.endpoint, method, path, body, token ?? this.#options.managementToken);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    process.off('exit', this.#atExit);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #arguments(): string[] {
    const { mode = 'dev', managementToken, hcl, socketPath, httpsPort = -1 } = this.#options;
    const { name = 't', join: members = [] } = this.#options;
    const [http, server, serf] = this.#ports;
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
      ...(mode === 'dev' ? ['-dev'] : [...disk, `-data-dir=${join(this.#folder, 'data')}`]),
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

  /** Ready once a write passes: a leader is there and its ACLs, if any, are. */
  async #ready(): Promise<void> {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const { status } = await this.call('PUT', '/v1/kv/ready', 'x').catch(() => ({ status: 0 }));
      if (status === 200) break;
      if (this.#child === undefined) throw new Error(`Consul ended before it was ready:\n${this.#said}`);
      if (performance.now() > deadline) throw new Error(`Consul was not ready within 60 s:\n${this.#said}`);
      await sleep(30);
    }
    await this.call('DELETE', '/v1/kv/ready');
  }
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

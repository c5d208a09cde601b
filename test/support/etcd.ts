import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type BinarySpec, builtBinary } from './built-binary.ts';

export const etcdVersion = '3.6.16';
const etcdModule = new URL('../servers/etcd/', import.meta.url);

export const etcdBinary: BinarySpec = {
  name: 'etcd',
  version: etcdVersion,
  module: etcdModule,
  mainPackage: 'go.etcd.io/etcd/server/v3',
  override: 'ISTHMUS_TEST_ETCD',
};
export const etcdctlBinary: BinarySpec = {
  name: 'etcdctl',
  version: etcdVersion,
  module: etcdModule,
  mainPackage: 'go.etcd.io/etcd/etcdctl/v3',
  override: 'ISTHMUS_TEST_ETCDCTL',
};
/** Our own program over etcd's Go client (test/servers/goclient). */
export const goClientBinary: BinarySpec = {
  name: 'goclient',
  version: etcdVersion,
  module: new URL('../servers/goclient/', import.meta.url),
  mainPackage: '.',
  override: 'ISTHMUS_TEST_GOCLIENT',
};

export interface StartEtcdOptions {
  /** More command-line flags, as `['--max-txn-ops=64']`. */
  readonly flags?: readonly string[];
  /** Writes reach the disk before they are answered; off unless told, since most tests need no durability. */
  readonly fsync?: boolean;
  /** Keeps data here and leaves it there; a temporary folder that goes with the server unless told. */
  readonly dataDir?: string;
  /** Serves its API by TLS, at {@link EtcdProcess.securePort}, to clients with a certificate of that authority only. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly trustedCaFile: string };
}

/** A real etcd of one member on loopback. Disposing of it ends the process and removes its data. */
export interface EtcdProcess extends AsyncDisposable {
  /** As `http://127.0.0.1:PORT`; the same after a restart. */
  readonly endpoint: string;
  readonly host: string;
  readonly port: number;
  /** Where its API is under TLS; without, the same as {@link port}. */
  readonly securePort: number;
  readonly dataDir: string;
  readonly pid: number | undefined;
  /** Ends it in an orderly way (SIGTERM). */
  stop(): Promise<void>;
  /** Ends it at once (SIGKILL). */
  kill(): Promise<void>;
  /** Freezes it: connections stay, nothing is answered. */
  pause(): void;
  resume(): void;
  /** Starts it again, after ending it if need be, on the same port and data. */
  restart(): Promise<void>;
}

export async function startEtcd(options: StartEtcdOptions = {}): Promise<EtcdProcess> {
  const binary = await builtBinary(etcdBinary);
  const temporary = options.dataDir === undefined ? mkdtempSync(join(tmpdir(), 'isthmus-etcd-')) : undefined;
  const dataDir = options.dataDir ?? join(temporary ?? '', 'data');
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const securePort = options.tls ? await freePort() : port;
    const server = new Etcd(binary, dataDir, temporary, { port, securePort }, options);
    try {
      await server.restart();
      return server;
    } catch (error) {
      // Another process may have taken the port between the look and the start.
      const taken = error instanceof Error && error.message.includes('address already in use');
      if (taken && attempt < 5) continue;
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }
}

/** A port of loopback that is free right now. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('Cannot find a free port');
  return address.port;
}

class Etcd implements EtcdProcess {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly securePort: number;
  readonly dataDir: string;
  readonly #binary: string;
  readonly #temporary: string | undefined;
  readonly #options: StartEtcdOptions;
  readonly #atExit = (): void => {
    this.#child?.kill('SIGKILL');
    if (this.#temporary !== undefined) rmSync(this.#temporary, { recursive: true, force: true });
  };
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();
  #said = '';

  constructor(
    binary: string,
    dataDir: string,
    temporary: string | undefined,
    { port, securePort }: { readonly port: number; readonly securePort: number },
    options: StartEtcdOptions,
  ) {
    this.#binary = binary;
    this.dataDir = dataDir;
    this.#temporary = temporary;
    this.port = port;
    this.securePort = securePort;
    this.#options = options;
  }

  get endpoint(): string {
    return `http://${this.host}:${this.port}`;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM');
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL');
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
    const { flags = [], fsync = false, tls } = this.#options;
    const api = tls ? `https://${this.host}:${this.securePort}` : this.endpoint;
    const child = spawn(
      this.#binary,
      [
        '--name=t',
        `--data-dir=${this.dataDir}`,
        '--log-level=warn',
        '--heartbeat-interval=10',
        '--election-timeout=100',
        `--listen-client-urls=${api}`,
        `--advertise-client-urls=${api}`,
        ...(tls
          ? [
              // Whether it is ready is asked without TLS.
              `--listen-client-http-urls=${this.endpoint}`,
              '--client-cert-auth',
              `--cert-file=${tls.certFile}`,
              `--key-file=${tls.keyFile}`,
              `--trusted-ca-file=${tls.trustedCaFile}`,
            ]
          : []),
        '--listen-peer-urls=http://127.0.0.1:0',
        '--initial-advertise-peer-urls=http://127.0.0.1:1',
        '--initial-cluster=t=http://127.0.0.1:1',
        ...(fsync ? [] : ['--unsafe-no-fsync']),
        ...flags,
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#child = child;
    this.#said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#said = (this.#said + text).slice(-8000)));
    this.#exited = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('close', () => resolve());
    }).then(() => {
      if (this.#child === child) this.#child = undefined;
    });
    await this.#ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    process.off('exit', this.#atExit);
    if (this.#temporary !== undefined) rmSync(this.#temporary, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child === undefined) return;
    this.#child.kill(signal);
    this.#child.kill('SIGCONT');
    await this.#exited;
    process.off('exit', this.#atExit);
  }

  async #ready(): Promise<void> {
    const deadline = performance.now() + 60_000;
    while (!(await answersOk(`${this.endpoint}/readyz`))) {
      if (this.#child === undefined) throw new Error(`etcd ended before it was ready:\n${this.#said}`);
      if (performance.now() > deadline) throw new Error(`etcd was not ready within 60 s:\n${this.#said}`);
      await sleep(20);
    }
  }
}

function answersOk(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 5000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs etcdctl against `endpoint`; `input` becomes its standard input. */
export async function etcdctl(endpoint: string, args: readonly string[], input = ''): Promise<CommandResult> {
  return runToEnd(await builtBinary(etcdctlBinary), [`--endpoints=${endpoint}`, ...args], input);
}

/** Runs a scenario of test/servers/goclient against `endpoint`. */
export async function goClient(endpoint: string, scenario: string): Promise<CommandResult> {
  return runToEnd(await builtBinary(goClientBinary), [endpoint, scenario], '');
}

/** Starts etcdctl and leaves it running: a watch, an election. The caller ends it; at the latest it ends after five minutes. */
export async function spawnEtcdctl(endpoint: string, args: readonly string[]): Promise<ChildProcess> {
  return spawn(await builtBinary(etcdctlBinary), [`--endpoints=${endpoint}`, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: cleanEnvironment(),
    timeout: 300_000,
    killSignal: 'SIGKILL',
  });
}

function runToEnd(binary: string, args: readonly string[], input: string): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    // Not SIGTERM: a command that hangs may well be deaf to it.
    const options = {
      timeout: 60_000,
      killSignal: 'SIGKILL' as const,
      maxBuffer: 64 * 1024 * 1024,
      env: cleanEnvironment(),
    };
    const child = execFile(binary, args, options, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

/** Variables such as ETCDCTL_ENDPOINTS of whoever runs the tests must not matter. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ETCDCTL_')));
}

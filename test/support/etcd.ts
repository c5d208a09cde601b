import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type BinarySpec, builtBinary } from './built-binary.ts';
import { ServerProcess, started } from './server-process.ts';

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
  /** Heartbeats and elections of etcd's own pace instead of a tenth of it: it starts a second later, and no lease is shorter than 2 s. */
  readonly defaultTiming?: boolean;
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
  return started(async () => {
    const port = await freePort();
    return new Etcd(binary, { port, securePort: options.tls ? await freePort() : port }, options);
  });
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

class Etcd extends ServerProcess implements EtcdProcess {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly securePort: number;
  readonly dataDir: string;

  constructor(
    binary: string,
    ports: { readonly port: number; readonly securePort: number },
    options: StartEtcdOptions,
  ) {
    super({
      title: 'etcd',
      name: 'etcd',
      binary,
      args: () => flagsOf(this, options),
      isReady: () => answersOk(`${this.endpoint}/readyz`),
    });
    this.port = ports.port;
    this.securePort = ports.securePort;
    this.dataDir = options.dataDir ?? join(this.folder, 'data');
  }

  get endpoint(): string {
    return `http://${this.host}:${this.port}`;
  }
}

function flagsOf({ host, endpoint, securePort, dataDir }: Etcd, options: StartEtcdOptions): string[] {
  const { flags = [], fsync = false, defaultTiming = false, tls } = options;
  const api = tls ? `https://${host}:${securePort}` : endpoint;
  return [
    '--name=t',
    `--data-dir=${dataDir}`,
    '--log-level=warn',
    ...(defaultTiming ? [] : ['--heartbeat-interval=10', '--election-timeout=100']),
    `--listen-client-urls=${api}`,
    `--advertise-client-urls=${api}`,
    ...(tls
      ? [
          // Whether it is ready is asked without TLS.
          `--listen-client-http-urls=${endpoint}`,
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
  ];
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
    // One that needs no input may have ended before it got any; its exit code says how it went.
    child.stdin?.on('error', () => undefined).end(input);
  });
}

/** Variables such as ETCDCTL_ENDPOINTS of whoever runs the tests must not matter. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ETCDCTL_')));
}

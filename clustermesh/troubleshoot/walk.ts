import type { Clock } from '../../runtime/clock/index.ts';
import { silentLogger } from '../../runtime/log/index.ts';
import { linkedController } from '../../runtime/tasks/index.ts';
import { TlsFileError, type TlsMaterial, inWords, readTlsFiles } from '../../runtime/tls/index.ts';
import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import { type EtcdConfig, openEtcdStore, parseEtcdConfig, unverifiedMeans } from '../../kvstore/index.ts';
import { type PeerConfig, type PeerPolicy, policyOf } from '../peers/index.ts';
import {
  type EndpointDeps,
  type EndpointTarget,
  connectOnce,
  ownCertificate,
  resolveHost,
  shakeHands,
} from './endpoint.ts';
import { readCopies } from './copies.ts';
import { BrokenLayer, type Diagnosis, type Finding, layers, reasonOf } from './finding.ts';
import { judgeHeartbeat, readCanaries, readConfig, readHeartbeat, readVersion } from './store-layers.ts';

export interface TroubleshootOptions {
  /** For all of it, together. */
  readonly timeoutMs: number;
  /** To find conflicts with the own cluster. */
  readonly own?: { readonly clusterId: number; readonly maxConnectedClusters?: MaxConnectedClusters };
}

export interface TroubleshootDeps {
  readonly clock: Clock;
  readonly resolve?: NonNullable<EndpointDeps['resolve']>;
}

/** Goes the way to a remote cluster and says how far it leads. Only `signal` makes it throw. */
export async function troubleshoot(
  config: PeerConfig,
  options: TroubleshootOptions,
  deps: TroubleshootDeps,
  signal: AbortSignal,
): Promise<Diagnosis> {
  using limit = linkedController(signal);
  using _timer = deps.clock.timer(options.timeoutMs, () =>
    limit.abort(new DOMException('No answer in time', 'TimeoutError')),
  );
  const findings: Finding[] = [];
  try {
    await new Walk(config, options, deps, limit.signal, findings).run();
    return { cluster: config.cluster, path: config.path, ok: true, findings };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof BrokenLayer)) throw error;
    const { finding } = error;
    if (!findings.includes(finding)) findings.push(finding);
    return {
      cluster: config.cluster,
      path: config.path,
      ok: false,
      broken: finding.layer,
      cause: finding.detail,
      ...(finding.next === undefined ? {} : { next: finding.next }),
      findings,
    };
  }
}

class Walk {
  readonly #config: PeerConfig;
  readonly #options: TroubleshootOptions;
  readonly #deps: TroubleshootDeps;
  readonly #signal: AbortSignal;
  readonly #findings: Finding[];

  constructor(
    config: PeerConfig,
    options: TroubleshootOptions,
    deps: TroubleshootDeps,
    signal: AbortSignal,
    findings: Finding[],
  ) {
    this.#config = config;
    this.#options = options;
    this.#deps = deps;
    this.#signal = signal;
    this.#findings = findings;
  }

  async run(): Promise<void> {
    const { etcd, material, policy } = await this.#configuration();
    const target = await this.#reach(etcd.endpoints.map(targetOf), material);
    await this.#store(etcd, material, policy, target);
  }

  /** @throws {BrokenLayer} */
  async #configuration(): Promise<{
    readonly etcd: EtcdConfig;
    readonly material: TlsMaterial;
    readonly policy: PeerPolicy;
  }> {
    const { path, text } = this.#config;
    try {
      const etcd = parseEtcdConfig(text, path);
      const policy = policyOf(this.#config);
      const material = await readTlsFiles(etcd.tls ?? {});
      const { certificate } = material;
      const who = certificate ? `, our certificate is ${inWords(certificate)}` : '';
      const facts = { endpoints: etcd.endpoints, certificate, authorities: material.authorities };
      this.#findings.push(
        { layer: 'configuration', state: 'ok', detail: `${countOf(etcd.endpoints.length, 'endpoint')}${who}`, facts },
        ...ownCertificate(material, this.#deps.clock.now()),
        ...unverified(etcd),
        ...etcd.ignored.map((field): Finding => {
          return { layer: 'configuration', state: 'warning', detail: `${field} means nothing to isthmus` };
        }),
      );
      return { etcd, material, policy };
    } catch (error) {
      const file = error instanceof TlsFileError ? error.file : path;
      throw new BrokenLayer({ layer: 'configuration', detail: reasonOf(error), next: `ls -lL ${file}` });
    }
  }

  /** The first endpoint that can be spoken to. @throws {BrokenLayer} what stopped the one that led farthest */
  async #reach(targets: readonly EndpointTarget[], material: TlsMaterial): Promise<EndpointTarget> {
    const { resolve, clock } = this.#deps;
    const deps = { nowMs: clock.now(), clock, signal: this.#signal, ...(resolve ? { resolve } : {}) };
    let farthest: BrokenLayer | undefined;
    let reached: EndpointTarget | undefined;
    for (const target of targets) {
      try {
        this.#findings.push(await resolveHost(target, deps));
        this.#findings.push(await connectOnce(target, deps));
        this.#findings.push(await shakeHands(target, material, deps));
        reached ??= target;
      } catch (error) {
        if (!(error instanceof BrokenLayer)) throw error;
        this.#findings.push(error.finding);
        if (!farthest || depthOf(error) > depthOf(farthest)) farthest = error;
      }
    }
    if (reached) return reached;
    throw farthest ?? new BrokenLayer({ layer: 'configuration', detail: 'no endpoint is named' });
  }

  async #store(etcd: EtcdConfig, material: TlsMaterial, policy: PeerPolicy, target: EndpointTarget): Promise<void> {
    const { clock } = this.#deps;
    const { own } = this.#options;
    const options = {
      cluster: this.#config.cluster,
      user: etcd.username ?? material.certificate?.commonName,
      own,
      policy,
      nowMs: clock.now(),
      signal: this.#signal,
    };
    await using store = openEtcdStore({ ...etcd, endpoints: [target.url], clock, log: silentLogger });
    const heard = await readHeartbeat(store, options).catch(async (error: unknown) => {
      if (error instanceof BrokenLayer) throw error;
      // No question of rights: is it a store at all? The time for the first question may be over.
      using again = linkedController(undefined);
      using _timer = clock.timer(versionMs, () => again.abort(new DOMException('No answer in time', 'TimeoutError')));
      this.#findings.push(await readVersion(target, material, again.signal));
      const why = this.#signal.aborted ? (store.health().error ?? 'no answer in time') : reasonOf(error);
      throw new BrokenLayer({
        layer: 'auth',
        detail: `the store answers, but not to us: ${why}`,
        next: `isthmus peer show ${this.#config.cluster}`,
      });
    });
    this.#findings.push(heard.finding);
    this.#findings.push(await readVersion(target, material, this.#signal));
    const { finding, config } = await readConfig(store, options);
    this.#findings.push(finding);
    this.#findings.push(await readCanaries(store, config, options));
    this.#findings.push(judgeHeartbeat(heard.value, options));
    if (config.cached) this.#findings.push(await readCopies(store, options));
  }
}

const versionMs = 2000;

/** `https://host:port`, as the configuration's reader gives it. */
function targetOf(url: string): EndpointTarget {
  const { protocol, hostname, port } = new URL(url);
  const secure = protocol === 'https:';
  return { url, secure, host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || (secure ? 443 : 80)) };
}

function depthOf({ finding }: BrokenLayer): number {
  return layers.indexOf(finding.layer);
}

function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

function unverified({ tls }: EtcdConfig): readonly Finding[] {
  return tls?.insecureSkipVerify === true
    ? [{ layer: 'configuration', state: 'warning', detail: `insecure-skip-tls-verify: ${unverifiedMeans}` }]
    : [];
}

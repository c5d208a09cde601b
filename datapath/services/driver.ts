import { parseIp } from '../../values/ip/index.ts';
import { type AuditResult, Packed, Serial, type TableChange, type TableDriver } from '../table/index.ts';
import type { ServiceEntry } from './entry.ts';
import { KnownServices, frontendKey } from './known.ts';
import { affinityMatch } from './layout.ts';
import { type ServiceStep, serviceSteps } from './plan.ts';
import { type ServiceMaps, frontendKeyOf, knownFrom, mapOf, readRows } from './read.ts';
import { RowBuilder } from './rows.ts';

/**
 * Writes services. A change of one service touches its rows and those of its backends only. IPv4: frontends and backends
 * of the other family are passed over. A service without backends keeps its frontend, so that it refuses at once.
 */
export class ServiceDriver implements TableDriver<ServiceEntry> {
  readonly #maps: ServiceMaps;
  readonly #serial = new Serial();
  /** Undefined until the maps were read, and after a refused write, when nobody knows how far it came. */
  #known: KnownServices | undefined;

  constructor(maps: ServiceMaps) {
    this.#maps = maps;
  }

  keyOf(entry: ServiceEntry): string {
    return frontendKey({ ...entry, address: parseIp(entry.address) });
  }

  apply(change: Partial<TableChange<ServiceEntry>>): Promise<void> {
    const upsert = new Map((change.upsert ?? []).filter(isIpv4).map((entry) => [this.keyOf(entry), normal(entry)]));
    const remove = (change.remove ?? []).filter((key) => !upsert.has(key));
    return this.#guarded(async () => {
      const known = (this.#known ??= knownFrom(await readRows(this.#maps)));
      const before = new RowBuilder();
      const touched = new Set<number>();
      for (const key of [...upsert.keys(), ...remove]) {
        const service = known.services.get(key);
        if (service) before.serviceWithBackends(service, known);
        for (const id of service?.backendIds ?? []) touched.add(id);
      }
      const after = new RowBuilder();
      // A backend that a further service shares is not in `before`: it is written once more, which harms nobody.
      for (const entry of upsert.values()) {
        const service = known.assign(entry);
        known.putService(service);
        after.serviceWithBackends(service, known);
      }
      for (const key of remove) known.removeService(key);
      for (const id of touched) {
        const backend = known.backends.get(id);
        if (known.needed(id) && backend) after.backend(backend);
        else known.removeBackend(id);
      }
      for (const step of serviceSteps(before, after)) await this.#step(step);
    });
  }

  audit(desired: Iterable<ServiceEntry>, options: { readonly prune: boolean }): Promise<AuditResult> {
    return this.#guarded(async () => {
      const before = await readRows(this.#maps);
      const known = (this.#known = knownFrom(before));
      const after = new RowBuilder();
      const keys = new Set<string>();
      for (const entry of desired) {
        if (!isIpv4(entry)) continue;
        const service = known.assign(normal(entry));
        known.putService(service);
        keys.add(frontendKey(service.frontend));
      }
      for (const key of keys) {
        const service = known.services.get(key);
        if (service) after.serviceWithBackends(service, known);
      }
      const stale = [...known.services.keys()].filter((key) => !keys.has(key));
      if (options.prune) for (const key of stale) known.removeService(key);
      for (const id of known.backends.keys()) if (options.prune && !known.needed(id)) known.removeBackend(id);
      const revNats = new Set([...keys].map((key) => known.services.get(key)?.revNat));
      const steps = serviceSteps(before, after, (table, key) => {
        if (options.prune) return false;
        // What is left over of a service that we do know ends in any case.
        if (table === 'slots') return !keys.has(frontendKeyOf(key) ?? '');
        return table !== 'matches' || !revNats.has(affinityMatch.decode(key).revNat);
      });
      for (const step of steps) await this.#step(step);
      const written = writtenServices(steps, known, keys);
      return { written, removed: options.prune ? stale.length : 0, kept: keys.size - written };
    });
  }

  #guarded<T>(task: () => Promise<T>): Promise<T> {
    return this.#serial.run(async () => {
      try {
        return await task();
      } catch (error) {
        this.#known = undefined;
        throw error;
      }
    });
  }

  async #step(step: ServiceStep): Promise<void> {
    const map = mapOf(this.#maps, step.table);
    const keys = new Packed(map.spec.keySize);
    if (step.type === 'remove') {
      for (const key of step.keys) keys.push(key);
      return map.deleteBatch(keys.bytes, keys.count);
    }
    const values = new Packed(map.spec.valueSize);
    for (const row of step.rows) {
      keys.push(row.key);
      values.push(row.value);
    }
    return map.updateBatch(keys.bytes, values.bytes, keys.count);
  }
}

/** How many of the services have a row, or a backend, that was written. */
function writtenServices(steps: readonly ServiceStep[], known: KnownServices, keys: ReadonlySet<string>): number {
  const services = new Set<string>();
  const backends = new Set<number>();
  const revNats = new Set<number>();
  for (const step of steps) {
    const touched = step.type === 'write' ? step.rows.map(({ key }) => key) : step.keys;
    for (const key of touched) {
      if (step.table === 'slots' || step.table === 'masters') services.add(frontendKeyOf(key) ?? '');
      else if (step.table === 'backends') backends.add(key.readUInt32LE());
      else if (step.table === 'revNats') revNats.add(key.readUInt16BE());
      else revNats.add(affinityMatch.decode(key).revNat);
    }
  }
  return [...keys].filter((key) => {
    const service = known.services.get(key);
    return (
      services.has(key) ||
      (service !== undefined && (revNats.has(service.revNat) || service.backendIds.some((id) => backends.has(id))))
    );
  }).length;
}

function isIpv4(entry: ServiceEntry): boolean {
  return !entry.address.includes(':');
}

function normal(entry: ServiceEntry): ServiceEntry {
  return { ...entry, backends: entry.backends.filter((backend) => !backend.address.includes(':')) };
}

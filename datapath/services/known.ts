import type { IpAddress } from '../../values/ip/index.ts';
import type { ServiceBackend, ServiceEntry, ServiceProtocol } from './entry.ts';

/** Where a service answers. */
export interface Frontend {
  readonly address: IpAddress;
  readonly port: number;
  readonly protocol: ServiceProtocol;
}

/** A service as the maps hold it. */
export interface KnownService {
  readonly frontend: Frontend;
  readonly revNat: number;
  readonly affinitySeconds: number;
  /** Backend ids at slots 1, 2, … */
  readonly slots: readonly number[];
  /** All ids it needs: those in slots, and terminating ones that only old connections use. */
  readonly backendIds: readonly number[];
}

/** A backend as the maps hold it. */
export interface KnownBackend extends ServiceBackend {
  readonly id: number;
  readonly protocol: ServiceProtocol;
}

/** `10.96.0.10:53/UDP` */
export function frontendKey({ address, port, protocol }: Frontend): string {
  return `${address}:${port}/${protocol}`;
}

const maxRevNat = 65_535;

/**
 * What the maps hold, and the numbers that services and backends go by. A backend's id stands for one address, port and
 * protocol for as long as a service needs it; numbers are taken up again from the maps at start.
 */
export class KnownServices {
  readonly services = new Map<string, KnownService>();
  readonly backends = new Map<number, KnownBackend>();
  readonly #ids = new Map<string, number>();
  readonly #references = new Map<number, number>();
  readonly #revNats = new Set<number>();
  #nextId = 1;
  #nextRevNat = 1;

  /** Takes in a backend; of the same id the last one counts. */
  putBackend(backend: KnownBackend): void {
    this.backends.set(backend.id, backend);
    this.#ids.set(frontendKey(backend), backend.id);
    this.#nextId = Math.max(this.#nextId, backend.id + 1);
  }

  putService(service: KnownService): void {
    const key = frontendKey(service.frontend);
    const before = this.services.get(key);
    for (const id of service.backendIds) this.#references.set(id, (this.#references.get(id) ?? 0) + 1);
    if (before) this.#release(before);
    this.services.set(key, service);
    this.#revNats.add(service.revNat);
  }

  removeService(key: string): void {
    const before = this.services.get(key);
    if (!before) return;
    this.services.delete(key);
    this.#release(before);
    this.#revNats.delete(before.revNat);
  }

  /** Forgets a backend that nobody needs. */
  removeBackend(id: number): void {
    const backend = this.backends.get(id);
    this.backends.delete(id);
    this.#references.delete(id);
    if (backend && this.#ids.get(frontendKey(backend)) === id) this.#ids.delete(frontendKey(backend));
  }

  needed(id: number): boolean {
    return (this.#references.get(id) ?? 0) > 0;
  }

  /** What `entry` becomes in the maps, with the numbers it has already where it has some. Takes in its backends. */
  assign(entry: ServiceEntry): KnownService {
    const frontend = { address: entry.address, port: entry.port, protocol: entry.protocol };
    const before = this.services.get(frontendKey(frontend));
    const byId = new Map<number, ServiceBackend>();
    for (const backend of entry.backends) byId.set(this.#assignBackend(backend, entry.protocol), backend);
    const active = [...byId].filter(([, backend]) => backend.state === 'active').map(([id]) => id);
    const serving = active.length > 0 ? active : [...byId.keys()];
    return {
      frontend,
      revNat: before?.revNat ?? this.#takeRevNat(),
      affinitySeconds: Math.min(entry.affinitySeconds ?? 0, 0xffffff),
      slots: keepPlaces(before?.slots ?? [], serving),
      backendIds: [...byId.keys()],
    };
  }

  #assignBackend(backend: ServiceBackend, protocol: ServiceProtocol): number {
    const { address, port, state } = backend;
    const id = this.#ids.get(frontendKey({ address, port, protocol })) ?? this.#nextId;
    this.putBackend({ id, address, port, protocol, state });
    return id;
  }

  #takeRevNat(): number {
    if (this.#revNats.size >= maxRevNat) throw new RangeError(`More than ${maxRevNat} services`);
    while (this.#revNats.has(this.#nextRevNat)) this.#nextRevNat = (this.#nextRevNat % maxRevNat) + 1;
    this.#revNats.add(this.#nextRevNat);
    return this.#nextRevNat;
  }

  #release(service: KnownService): void {
    for (const id of service.backendIds) this.#references.set(id, (this.#references.get(id) ?? 1) - 1);
  }
}

/** Slots for `ids` with as few changed places as possible: who stays keeps its place, newcomers and the last fill holes. */
export function keepPlaces(before: readonly number[], ids: readonly number[]): readonly number[] {
  const wanted = new Set(ids);
  const slots: (number | undefined)[] = before.slice(0, wanted.size).map((id) => (wanted.has(id) ? id : undefined));
  const placed = new Set(slots);
  const rest = [...wanted].filter((id) => !placed.has(id));
  for (let i = 0; i < wanted.size; i++) slots[i] ??= rest.shift();
  return slots.filter((id) => id !== undefined);
}

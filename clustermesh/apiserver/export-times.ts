import { decodeServiceExport, serviceExportKey } from '../wire/index.ts';
import type { KnownObjects } from './known-objects.ts';
import { type Unit, unitId } from './units.ts';

export interface ExportTimesOptions {
  readonly cluster: string;
  readonly objects: KnownObjects;
  readonly stored: (key: string, signal: AbortSignal) => Promise<Uint8Array | undefined>;
  readonly now: () => number;
}

/**
 * When each ServiceExport was made. The oldest export of a mesh wins conflicts, so that the time must not change: where an
 * object has none (a manifest), it is what an earlier life published, or else the moment at which it was first seen.
 */
export class ExportTimes {
  readonly #options: ExportTimesOptions;
  readonly #seen = new Map<string, number>();

  constructor(options: ExportTimesOptions) {
    this.#options = options;
  }

  /** @throws {RangeError} for a time that the object has and nobody can read. */
  createdMs(unit: Unit): number {
    const text = this.#timestampOf(unit);
    if (text === undefined) return this.#seen.get(unitId(unit)) ?? this.#options.now();
    const created = Date.parse(text);
    if (Number.isNaN(created))
      throw new RangeError(`metadata.creationTimestamp must be an RFC 3339 time, found ${text}`);
    return created;
  }

  /** To be awaited before a unit is decided on. */
  async learn(unit: Unit, signal: AbortSignal): Promise<void> {
    const id = unitId(unit);
    const { cluster, objects, stored, now } = this.#options;
    const { namespace, name } = unit;
    if (!objects.get('ServiceExport', namespace, name)) this.#seen.delete(id);
    else if (!this.#seen.has(id) && this.#timestampOf(unit) === undefined)
      this.#seen.set(id, createdOf(unit, await stored(serviceExportKey(cluster, namespace, name), signal)) ?? now());
  }

  #timestampOf({ namespace, name }: Unit): string | undefined {
    return this.#options.objects.get('ServiceExport', namespace, name)?.metadata.creationTimestamp;
  }
}

function createdOf({ namespace, name }: Unit, stored: Uint8Array | undefined): number | undefined {
  try {
    return stored && decodeServiceExport(`${namespace}/${name}`, stored).exportCreationMs;
  } catch {
    return undefined;
  }
}

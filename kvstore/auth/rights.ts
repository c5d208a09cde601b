import type { KeyRange } from '../contract/index.ts';
import { RangeSet } from './range-set.ts';
import type { Permission, Role } from './role.ts';

/** What a user may do: its roles taken together. */
export class Rights {
  readonly root: boolean;
  readonly #read: Allowed;
  readonly #write: Allowed;

  constructor(roles: Iterable<Role>) {
    const list = [...roles];
    this.root = list.some((role) => role.root);
    const permissions = list.flatMap((role) => role.permissions);
    this.#read = new Allowed(permissions.filter(({ access }) => access !== 'write'));
    this.#write = new Allowed(permissions.filter(({ access }) => access !== 'read'));
  }

  /** Whether there is a key that may be written: whoever only reads needs no leases. */
  get writes(): boolean {
    return this.root || !this.#write.empty;
  }

  async mayRead(range: KeyRange): Promise<boolean> {
    return this.root || (await this.#read.contains(range));
  }

  async mayWrite(range: KeyRange): Promise<boolean> {
    return this.root || (await this.#write.contains(range));
  }

  /** What {@link mayRead} says without asking anybody, so that a watch can be answered at once: ranges only. */
  mayReadRange(range: KeyRange): boolean {
    return this.root || this.#read.ranges.contains(range);
  }

  /** The same of {@link mayWrite}. */
  mayWriteRange(range: KeyRange): boolean {
    return this.root || this.#write.ranges.contains(range);
  }
}

class Allowed {
  readonly ranges: RangeSet;
  readonly #chosen: readonly { readonly within: RangeSet; readonly only: NonNullable<Permission['only']> }[];

  constructor(permissions: readonly Permission[]) {
    this.ranges = new RangeSet(permissions.filter(({ only }) => !only).map(({ range }) => range));
    this.#chosen = permissions.flatMap(({ only, range }) => (only ? [{ within: new RangeSet([range]), only }] : []));
  }

  get empty(): boolean {
    return this.ranges.empty && this.#chosen.length === 0;
  }

  async contains(range: KeyRange): Promise<boolean> {
    if (this.ranges.contains(range)) return true;
    if (range.rangeEnd !== undefined && range.rangeEnd.length > 0) return false;
    for (const { within, only } of this.#chosen) if (within.contains(range) && (await only(range.key))) return true;
    return false;
  }
}

/** Nothing at all. */
export const noRights = new Rights([]);

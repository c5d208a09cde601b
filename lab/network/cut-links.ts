import { LabArgumentError } from './argument-error.ts';
import { type MemberPlan, type SitePlan, membersOf } from './plan.ts';

/** What is cut from one another: clusters where all their members are, else single members. */
export interface CutLink {
  readonly a: string;
  readonly b: string;
}

/** The links of a lab by the names that people use, and which of them are cut. */
export class CutLinks {
  readonly #sites: readonly SitePlan[];
  /** `east/node-1 west/apiserver`, both ways round. */
  readonly #cut = new Set<string>();

  constructor(sites: readonly SitePlan[]) {
    this.#sites = sites;
  }

  /** Members behind `east`, `east/node-1` or `east/apiserver`. @throws {LabArgumentError} when there is no such thing. */
  membersAt(name: string): readonly MemberPlan[] {
    const [cluster = '', member] = name.split('/');
    const site = this.#sites.find((candidate) => candidate.cluster.name === cluster);
    if (!site)
      throw new LabArgumentError(
        `The lab has no cluster ${JSON.stringify(cluster)}; it has ${this.#sites.map((one) => one.cluster.name).join(', ')}`,
      );
    const all = membersOf(site);
    const found = all.filter((candidate) => member === undefined || `${cluster}/${candidate.name}` === name);
    if (found.length === 0)
      throw new LabArgumentError(
        `Cluster ${cluster} has no member ${JSON.stringify(name)}; it has ${all.map(nameOf).join(', ')}`,
      );
    return found;
  }

  /** Both ends of a link. @throws {LabArgumentError} when they are one, or one is nothing. */
  ends(a: string, b: string): readonly [readonly MemberPlan[], readonly MemberPlan[]] {
    const ends = [this.membersAt(a), this.membersAt(b)] as const;
    if (a === b) throw new LabArgumentError(`${a} has no link to itself; name two clusters, nodes or apiservers`);
    return ends;
  }

  note(a: string, b: string, isCut: boolean): void {
    for (const [x, y] of pairs(...this.ends(a, b))) {
      if (isCut) this.#cut.add(`${x} ${y}`).add(`${y} ${x}`);
      else for (const pair of [`${x} ${y}`, `${y} ${x}`]) this.#cut.delete(pair);
    }
  }

  list(): readonly CutLink[] {
    const sites = this.#sites.map((site) => ({ name: site.cluster.name, members: membersOf(site) }));
    return sites.flatMap((a, i) =>
      sites.slice(i).flatMap((b) => {
        const all = pairs(a.members, b.members);
        const cut = all.filter(([x, y]) => this.#cut.has(`${x} ${y}`));
        if (a !== b && cut.length === all.length) return [{ a: a.name, b: b.name }];
        return cut.filter(([x, y]) => a !== b || x < y).map(([x, y]) => ({ a: x, b: y }));
      }),
    );
  }
}

function pairs(a: readonly MemberPlan[], b: readonly MemberPlan[]): (readonly [string, string])[] {
  return a.flatMap((x) => b.filter((y) => y !== x).map((y) => [nameOf(x), nameOf(y)] as const));
}

function nameOf({ cluster, name }: MemberPlan): string {
  return `${cluster}/${name}`;
}

import { writeFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import type { InterfaceAddress, Link, LinkSpec, Neighbour, NetworkPort, Route } from '../ports/index.ts';
import { KernelError } from '../ports/index.ts';
import { checkLinkName, isSameDevice } from '../link-rules.ts';
import { asKernelError, errnos, kernelError } from '../abi/index.ts';
import { addressAddition, addressDump, addressOf, addressRemoval } from './addresses.ts';
import { linkChange, linkCreation, linkDeletion, linkDump, linkOf, linkQuery } from './links.ts';
import type { Message, MessageWriter } from './message.ts';
import { neighbourDump, neighbourOf, neighbourRemoval, neighbourReplacement } from './neighbours.ts';
import { NetlinkSocket } from './netlink-socket.ts';
import { isthmusProtocol, mainTable, routeDump, routeName, routeOf, routeRemoval, routeReplacement } from './routes.ts';

/** Runs synchronous work in the network namespace that a kernel was opened for. */
export type Inside = <T>(body: () => T) => T;

/** rtnetlink of one namespace; see {@link NetworkPort}. */
export class LinuxNetwork implements NetworkPort, Disposable {
  readonly protocol = isthmusProtocol;
  readonly #inside: Inside;
  readonly #socket: NetlinkSocket;

  constructor(inside: Inside) {
    this.#inside = inside;
    this.#socket = inside(() => new NetlinkSocket());
  }

  async links(): Promise<readonly Link[]> {
    return this.#dump(linkDump(), linkOf, 'Cannot list links');
  }

  async link(name: string): Promise<Link | undefined> {
    checkLinkName(name);
    try {
      return this.#dump(linkQuery(name), linkOf, `Cannot read link ${name}`)[0];
    } catch (error) {
      if (error instanceof KernelError && error.errno === errnos.ENODEV) return undefined;
      throw error;
    }
  }

  async createLink(spec: LinkSpec): Promise<Link> {
    checkLinkName(spec.name);
    const [answer] = this.#socket.send([linkCreation(spec)]);
    const operation = `Cannot create link ${spec.name}`;
    if (answer && answer.errno !== 0 && answer.errno !== errnos.EEXIST)
      throw kernelError(explained(operation, answer.explanation), answer.errno);
    const link = await this.link(spec.name);
    if (!link || (answer?.errno === errnos.EEXIST && !isSameDevice(link, spec)))
      throw kernelError(operation, answer?.errno || errnos.ENODEV);
    return link;
  }

  async changeLink(index: number, change: Parameters<NetworkPort['changeLink']>[1]): Promise<void> {
    this.#send([linkChange(index, change)], () => `Cannot change link ${index}`);
  }

  async deleteLink(name: string): Promise<boolean> {
    checkLinkName(name);
    return this.#send([linkDeletion(name)], () => `Cannot delete link ${name}`, [errnos.ENODEV]) === 0;
  }

  async addresses(): Promise<readonly InterfaceAddress[]> {
    return this.#dump(addressDump(), addressOf, 'Cannot list addresses');
  }

  async addAddress(address: InterfaceAddress): Promise<void> {
    this.#send([addressAddition(address)], () => `Cannot add address ${addressName(address)}`, [errnos.EEXIST]);
  }

  async removeAddress(address: InterfaceAddress): Promise<void> {
    const gone = [errnos.EADDRNOTAVAIL, errnos.ENODEV];
    this.#send([addressRemoval(address)], () => `Cannot remove address ${addressName(address)}`, gone);
  }

  async routes(filter: { readonly table?: number; readonly protocol?: number } = {}): Promise<readonly Route[]> {
    const table = filter.table ?? mainTable;
    return this.#dump(routeDump(), routeOf, 'Cannot list routes').filter(
      (route) => route.table === table && (filter.protocol === undefined || route.protocol === filter.protocol),
    );
  }

  async replaceRoutes(routes: readonly Route[]): Promise<void> {
    this.#send(routes.map(routeReplacement), (i) => `Cannot set route ${named(routes[i], routeName)}`, [errnos.EEXIST]);
  }

  async removeRoutes(routes: readonly Route[]): Promise<void> {
    const gone = [errnos.ESRCH, errnos.ENODEV];
    this.#send(routes.map(routeRemoval), (i) => `Cannot remove route ${named(routes[i], routeName)}`, gone);
  }

  async neighbours(): Promise<readonly Neighbour[]> {
    return this.#dump(neighbourDump(), neighbourOf, 'Cannot list neighbours');
  }

  async replaceNeighbours(neighbours: readonly Neighbour[]): Promise<void> {
    this.#send(
      neighbours.map(neighbourReplacement),
      (i) => `Cannot set neighbour ${named(neighbours[i], neighbourName)}`,
    );
  }

  async removeNeighbours(neighbours: readonly Pick<Neighbour, 'link' | 'address'>[]): Promise<void> {
    const gone = [errnos.ENOENT, errnos.ENODEV];
    const name = (i: number): string => `Cannot remove neighbour ${named(neighbours[i], neighbourName)}`;
    this.#send(neighbours.map(neighbourRemoval), name, gone);
  }

  async setSysctl(path: string, value: string): Promise<void> {
    const file = sysctlFile(path);
    try {
      // /proc/sys/net shows the namespace of the thread that opens the file.
      this.#inside(() => writeFileSync(file, value));
    } catch (cause) {
      throw asKernelError(`Cannot set ${path} to ${value}`, cause);
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  #dump<T>(request: MessageWriter, decode: (message: Message) => T | undefined, operation: string): T[] {
    return this.#socket
      .dump(request, operation)
      .map(decode)
      .filter((item) => item !== undefined);
  }

  /** Sends all, then throws for the first refusal that is not in `accepted`. Returns how many were refused and accepted. */
  #send(
    messages: readonly MessageWriter[],
    operation: (index: number) => string,
    accepted: readonly number[] = [],
  ): number {
    let refused = 0;
    let error: KernelError | undefined;
    for (const [i, answer] of this.#socket.send(messages).entries()) {
      if (answer.errno === 0) continue;
      refused++;
      if (!accepted.includes(answer.errno))
        error ??= kernelError(explained(operation(i), answer.explanation), answer.errno);
    }
    if (error) throw error;
    return refused;
  }
}

/** Path below /proc/sys/net. Device names may hold dots, so a path with slashes is taken as it is. */
export function sysctlFile(path: string): string {
  const relative = normalize(path.includes('/') ? path : path.replaceAll('.', '/')).replace(/^net\//, '');
  if (relative.startsWith('..') || relative.startsWith('/')) throw new RangeError(`Not a sysctl below net: ${path}`);
  return join('/proc/sys/net', relative);
}

function named<T>(item: T | undefined, name: (item: T) => string): string {
  return item === undefined ? '' : name(item);
}

function addressName(address: InterfaceAddress): string {
  return `${address.address}/${address.length} dev ${address.link}`;
}

function neighbourName(neighbour: Pick<Neighbour, 'link' | 'address'>): string {
  return `${neighbour.address} dev ${neighbour.link}`;
}

function explained(operation: string, explanation: string): string {
  return explanation === '' ? operation : `${operation} (${explanation.replace(/\.$/, '')})`;
}

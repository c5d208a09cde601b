import { EngineStore, MemoryEngine, type Store } from '../../kvstore/index.ts';
import { type HostPort, formatHostPort } from '../../runtime/options/index.ts';
import type { CommandContext } from '../command.ts';
import { type ServeDependencies, serveEngine } from '../serve-store.ts';
import { addressNamed, openNamed } from '../store/named-store.ts';

/** Where the clusters of a mock live. */
export interface MockStores extends AsyncDisposable {
  storeOf(cluster: string): Store;
  /** How others reach the store of a cluster; absent where the operator has named it. */
  endpointOf(cluster: string): string | undefined;
  /** One line for a person. */
  readonly description: string;
}

/** The store that the operator names, for all clusters. @throws {UsageError} */
export async function namedStores(context: CommandContext, named: string): Promise<MockStores> {
  const opened = await openNamed(context, addressNamed(named, '--store'));
  return {
    storeOf: () => opened.store,
    endpointOf: () => (/^https?:/.test(named) ? named : undefined),
    description: named,
    [Symbol.asyncDispose]: async () => await opened[Symbol.asyncDispose](),
  };
}

/** Stores in memory, served over the etcd v3 API: one for all clusters, or one for each, on ports that follow one another. */
export async function servedStores(
  names: readonly string[],
  { listen, oneEach }: { readonly listen: HostPort; readonly oneEach: boolean },
  deps: ServeDependencies,
): Promise<MockStores> {
  const closing = new AsyncDisposableStack();
  try {
    const served: { readonly store: Store; readonly endpoint: string }[] = [];
    for (let i = 0; i < (oneEach ? names.length : 1); i++) {
      const engine = closing.use(new MemoryEngine(deps));
      const port = listen.port === 0 ? 0 : listen.port + i;
      const server = closing.use(
        await serveEngine(engine, { listen: { ...listen, port }, security: { kind: 'cleartext' } }, deps),
      );
      const endpoint = `http://${formatHostPort(server.address())}`;
      served.push({ store: closing.use(new EngineStore(engine, { clock: deps.clock, endpoint })), endpoint });
    }
    const place = new Map(names.map((name, i) => [name, served[oneEach ? i : 0]]));
    const find = (cluster: string) => {
      const found = place.get(cluster);
      if (!found) throw new RangeError(`There is no mock cluster ${cluster}`);
      return found;
    };
    const [first, last] = [served[0]?.endpoint, served.at(-1)?.endpoint];
    return {
      storeOf: (cluster) => find(cluster).store,
      endpointOf: (cluster) => find(cluster).endpoint,
      description: first === last ? `${first}` : `${first} … ${last}`,
      [Symbol.asyncDispose]: () => closing.disposeAsync(),
    };
  } catch (error) {
    await closing.disposeAsync();
    throw error;
  }
}

/** How many shards a process may follow at once: each holds a connection, and Consul refuses more than 200 of one client. */
export class ShardBudget {
  #left: number;

  constructor(total: number) {
    this.#left = total;
  }

  /** Takes up to `wished`; give them back by disposing. Zero where there are not even two. */
  take(wished: number): { readonly count: number } & Disposable {
    const count = Math.min(wished, this.#left);
    const taken = count < 2 ? 0 : count;
    this.#left -= taken;
    return { count: taken, [Symbol.dispose]: () => void (this.#left += taken) };
  }
}

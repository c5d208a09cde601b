/** What a table of the datapath should hold, by marks: names of things of the mesh that may have changed. */
export interface TableSource<E> {
  /** What follows from the present knowledge of the marked things. `later` are marks that cannot be judged yet. */
  plan(marks: readonly string[]): TablePlan<E>;
  /** Everything that the table should hold now; it is read once. */
  all(): Iterable<E>;
}

export interface TablePlan<E> {
  readonly upsert: readonly E[];
  /** Keys as the driver names them. */
  readonly remove: readonly string[];
  readonly later: readonly string[];
}

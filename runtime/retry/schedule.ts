/** Delay in milliseconds before attempt `failures + 1`; `random` is in [0, 1). Pure. */
export type Schedule = (failures: number, random: number) => number;

/** `first · 2ⁿ⁻¹`, at most `max`, then taken down by up to `jitter` (a part of 1). */
export function exponential(options: {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly jitter?: number;
}): Schedule {
  const { firstMs, maxMs, jitter = 0.5 } = options;
  return (failures, random) => Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 40)) * (1 - jitter * random);
}

/** `n · step`, at most `max`: the manner of Cilium's controllers; taken down by up to `jitter` (a part of 1; none unless told). */
export function linear(options: {
  readonly stepMs: number;
  readonly maxMs: number;
  readonly jitter?: number;
}): Schedule {
  const { stepMs, maxMs, jitter = 0 } = options;
  return (failures, random) => Math.min(maxMs, failures * stepMs) * (1 - jitter * random);
}

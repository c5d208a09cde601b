/** What the annotations of a Service say about other clusters (clustermesh-behaviour §5.4). */
export interface ServiceSettings {
  /** Backends of other clusters take part. */
  readonly global: boolean;
  /** Backends are offered to other clusters; only of meaning when global. */
  readonly shared: boolean;
  readonly affinity: Affinity;
}

export type Affinity = 'none' | 'local' | 'remote';

/** First the current name, then the one of earlier Cilium releases. */
const globalNames = ['service.cilium.io/global', 'io.cilium/global-service'];
const sharedNames = ['service.cilium.io/shared', 'io.cilium/shared-service'];
const affinityNames = ['service.cilium.io/affinity', 'io.cilium/service-affinity'];

/**
 * Values are compared without regard to case. Affinity as of Cilium 1.20.0: `none`, empty and unknown words mean no
 * preference (earlier releases took them for `local`).
 */
export function serviceSettings(annotations: Readonly<Record<string, string>>): ServiceSettings {
  const affinity = valueOf(annotations, affinityNames);
  const global = valueOf(annotations, globalNames) === 'true';
  return {
    global,
    shared: global && valueOf(annotations, sharedNames) !== 'false',
    affinity: affinity === 'local' || affinity === 'remote' ? affinity : 'none',
  };
}

/** What the annotations say of being global, or undefined when they do not say it. */
export function annotatedGlobal(annotations: Readonly<Record<string, string>>): boolean | undefined {
  const value = valueOf(annotations, globalNames);
  return value === undefined ? undefined : value === 'true';
}

function valueOf(annotations: Readonly<Record<string, string>>, names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = annotations[name];
    if (value !== undefined) return value.trim().toLowerCase();
  }
  return undefined;
}

/** Annotations of Services and Namespaces that mean something here (clustermesh-behaviour §5.4, §1.4). */
const prefixes = ['service.cilium.io/', 'service.isthmus.io/', 'clustermesh.cilium.io/'];
/** Old spellings, with what they are called now. */
const aliases: Readonly<Record<string, string>> = {
  'io.cilium/global-service': 'service.cilium.io/global',
  'io.cilium/shared-service': 'service.cilium.io/shared',
  'io.cilium/service-affinity': 'service.cilium.io/affinity',
};

/** Those annotations that isthmus understands; an old spelling comes out as the new one, which wins when both are there. */
export function understoodAnnotations(annotations: Readonly<Record<string, string>>): Record<string, string> {
  const understood: Record<string, string> = {};
  for (const [key, value] of Object.entries(annotations)) {
    // `constructor` is an annotation like any other.
    const name = (Object.hasOwn(aliases, key) && aliases[key]) || key;
    if (!prefixes.some((prefix) => name.startsWith(prefix))) continue;
    if (name === key || !Object.hasOwn(annotations, name)) understood[name] = value;
  }
  return understood;
}

/** Whether what is in a namespace is exported: as its annotation says, or where it has none as `byDefault` does. */
export function isGlobalNamespace(annotations: Readonly<Record<string, string>>, byDefault = true): boolean {
  const word = annotations['clustermesh.cilium.io/global'];
  return word === undefined ? byDefault : word.toLowerCase() === 'true';
}

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The compiled objects of `datapath/bpf/objects`. */
export type ObjectName = 'node' | 'node-test' | 'router';

/** Path of an object; from sources and from `dist/`, beside which a published package carries the objects. */
export function objectPath(name: ObjectName): string {
  const candidates = [`../bpf/objects/${name}.o`, `../../../datapath/bpf/objects/${name}.o`].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`The eBPF object ${name}.o is not at ${candidates.join(' or ')}`);
  return found;
}

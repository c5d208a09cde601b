import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Attachments of an endpoint are pinned under these names and the index of its device. */
export const endpointPrograms = [
  { program: 'from_pod', direction: 'ingress' },
  { program: 'to_pod', direction: 'egress' },
] as const;

export function pinName(program: string, link: number): string {
  return `${program}_${link}`;
}

/** Devices for which an earlier life pinned programs. The in-memory kernel pins nothing here. */
export function pinnedLinks(directory: string): readonly number[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  const links = names.map((name) => /^(?:from|to)_pod_(\d+)$/.exec(name)?.[1]).filter((link) => link !== undefined);
  return [...new Set(links.map(Number))].sort((a, b) => a - b);
}

/** Removing the pin ends an attachment that no process holds. */
export function unpinLink(directory: string, link: number): void {
  for (const { program } of endpointPrograms) rmSync(join(directory, pinName(program, link)), { force: true });
}

import { readFile } from 'node:fs/promises';

/** The kernel's boot id (a UUID, new with each boot); empty on a machine that has none. */
export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '')).trim();
}

import { lstat, readlink } from 'node:fs/promises';
import { dirname, resolve, sep } from 'node:path';

const maxLinks = 40;

/**
 * The folders in which something changes when one of these files is replaced: those of the files, and of every symbolic
 * link on the way to them. Kubernetes replaces a mounted secret by turning the link `..data` beside its files.
 */
export async function foldersOf(files: readonly string[]): Promise<Set<string>> {
  const folders = new Set<string>();
  for (const file of files) await addFolders(resolve(file), folders, maxLinks);
  return folders;
}

async function addFolders(path: string, folders: Set<string>, linksLeft: number): Promise<void> {
  folders.add(dirname(path));
  const parts = path.split(sep);
  for (let i = 2; i <= parts.length; i++) {
    const part = parts.slice(0, i).join(sep);
    const target = await linkTarget(part);
    if (target === undefined) continue;
    folders.add(dirname(part));
    if (linksLeft === 0) return;
    const rest = parts.slice(i);
    await addFolders(resolve(dirname(part), target, ...rest), folders, linksLeft - 1);
    return;
  }
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined;
  } catch {
    return undefined;
  }
}

import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** A Go program that tests need, built from the module proxy. */
export interface BinarySpec {
  readonly name: string;
  readonly version: string;
  /** Folder with go.mod and go.sum, and Go sources when the program is ours. */
  readonly module: URL;
  /** Import path of the main package. */
  readonly mainPackage: string;
  /** Values that the linker sets in the program: versions that its own build would. */
  readonly linked?: Readonly<Record<string, string>>;
  /** Environment variable that names a ready binary instead. */
  readonly override: string;
}

function flagsOf({ linked = {} }: BinarySpec): string[] {
  const values = Object.entries(linked).map(([name, value]) => ` -X ${name}=${value}`);
  return ['-mod=readonly', '-trimpath', '-buildvcs=false', '-ldflags', `-s -w${values.join('')}`];
}
/** One C-free setting for all: changing it compiles everything anew. */
const goEnvironment = { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '' };

/** Where built binaries are kept between runs. */
export function cacheFolder(): string {
  const base = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(base, 'isthmus-test-servers');
}

/**
 * The path of a binary: the override, else the cache, else a build. Processes that want the same one at the same time
 * build it once; a build that dies leaves no half binary.
 */
export async function builtBinary(spec: BinarySpec, note: (line: string) => void = () => undefined): Promise<string> {
  const given = process.env[spec.override];
  if (given) return given;
  const go = goVersion();
  if (go === undefined) {
    const kept = anyCached(spec);
    if (kept !== undefined) return kept;
    throw new Error(
      `Cannot build ${spec.name} ${spec.version}: Go is missing. Install Go (go.dev/dl), then run: sh deploy/node.sh test/support/build-servers.ts; or name a binary in ${spec.override}`,
    );
  }
  const folder = join(cacheFolder(), `${spec.name}-${spec.version}-${cacheKey(spec, go)}`);
  const path = join(folder, spec.name);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  // One build at a time on the whole machine: linking takes memory, and two cores gain nothing.
  await using _lock = await lock(join(cacheFolder(), 'build.lock'));
  if (existsSync(path)) return path;
  note(`building ${spec.name} ${spec.version} into ${folder}`);
  const temporary = `${path}.${process.pid}.tmp`;
  await run(['build', '-C', fileURLToPath(spec.module), ...flagsOf(spec), '-o', temporary, spec.mainPackage], spec);
  renameSync(temporary, path);
  return path;
}

function goVersion(): string | undefined {
  try {
    return execFileSync('go', ['version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

function cacheKey(spec: BinarySpec, go: string): string {
  const hash = createHash('sha256').update(JSON.stringify([go, flagsOf(spec), goEnvironment, spec.mainPackage]));
  for (const file of readdirSync(spec.module)
    .filter((name) => /^go\.(mod|sum)$|\.go$/.test(name))
    .toSorted())
    hash.update(`\0${file}\0`).update(readFileSync(new URL(file, spec.module)));
  return hash.digest('hex').slice(0, 8);
}

/** Without Go nothing can be compared; the newest build of the same version must do. */
function anyCached(spec: BinarySpec): string | undefined {
  if (!existsSync(cacheFolder())) return undefined;
  const paths = readdirSync(cacheFolder())
    .filter((name) => name.startsWith(`${spec.name}-${spec.version}-`))
    .map((name) => join(cacheFolder(), name, spec.name))
    .filter((path) => existsSync(path));
  return paths.toSorted((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
}

function run(args: readonly string[], spec: BinarySpec): Promise<void> {
  const child = spawn('go', args, { env: { ...process.env, ...goEnvironment }, stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`Cannot build ${spec.name} (go ${args.join(' ')}):\n${said.slice(-4000)}`));
    });
  });
}

/** A lock file with the holder's process id; a dead holder's lock is taken over (at worst two build the same bytes). */
async function lock(path: string): Promise<AsyncDisposable> {
  for (;;) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
      return {
        [Symbol.asyncDispose]: () => {
          rmSync(path, { force: true });
          return Promise.resolve();
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (!holderLives(path)) rmSync(path, { force: true });
    await sleep(200);
  }
}

function holderLives(path: string): boolean {
  try {
    process.kill(Number(readFileSync(path, 'utf8')), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

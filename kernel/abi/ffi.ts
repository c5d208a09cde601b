import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { MissingFeatureError } from '../ports/index.ts';

type KoffiModule = typeof Koffi;

const require = createRequire(import.meta.url);
let loaded: KoffiModule | undefined;

/**
 * The FFI, loaded on first use: `kernel/index.ts` may be imported where no native library can be loaded (another
 * operating system, `--kernel memory`).
 * @throws {MissingFeatureError} when this machine is not Linux, or koffi has no binary for it.
 */
export function ffi(): KoffiModule {
  if (loaded) return loaded;
  if (process.platform !== 'linux')
    throw new MissingFeatureError('Linux', 'only the in-memory kernel runs here; start with --kernel memory');
  try {
    return (loaded = require('koffi') as KoffiModule);
  } catch (cause) {
    throw new MissingFeatureError('The FFI library koffi', 'nothing can drive the kernel; run npm install again', {
      cause,
    });
  }
}

/** A bound C function: numbers, Buffers and strings in, a number out. */
export type CFunction<A extends readonly unknown[], R = number> = (...args: A) => R;

/** Binds the functions of a library (name → C prototype), each when it is first used. */
export function bindLazily<T extends object>(
  open: () => Koffi.LibraryHandle,
  prototypes: { readonly [K in keyof T]: string },
): Readonly<T> {
  const bound = {};
  let library: Koffi.LibraryHandle | undefined;
  for (const [name, prototype] of Object.entries<string>(prototypes)) {
    Object.defineProperty(bound, name, {
      configurable: true,
      enumerable: true,
      get(): unknown {
        const bind: unknown = (library ??= open()).func(prototype);
        // From now on a plain property: an accessor at every call would cost as much as the call.
        Object.defineProperty(bound, name, { value: bind, enumerable: true });
        return bind;
      },
    });
  }
  // Types of FFI functions are promised by the prototype text beside them; there is nothing to check at run time.
  return bound as Readonly<T>;
}

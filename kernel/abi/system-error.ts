import { errnoName, kernelError } from './errno.ts';

/**
 * The errno's name of an error that one of Node's own calls threw (`ENOENT`). Told by its fields, not by its class: under
 * a test runner the module's `Error` and that of `node:fs` are different ones.
 */
export function systemCode(error: unknown): string | undefined {
  const errno = field(error, 'errno');
  return typeof errno === 'number' ? errnoName(errno) : undefined;
}

/** An error of one of Node's own calls as {@link KernelError} that names the operation; any other error as it is. */
export function asKernelError(operation: string, cause: unknown): unknown {
  const errno = field(cause, 'errno');
  return typeof errno === 'number' ? kernelError(operation, errno, { cause }) : cause;
}

function field(error: unknown, name: string): unknown {
  return typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined;
}

/** A refused system call: which operation on which object, and the kernel's errno by name. */
export class KernelError extends Error {
  readonly code: string;
  readonly errno: number;

  /** @param options.detail what the kernel said besides, such as the verifier's log; it follows the message. */
  constructor(operation: string, errno: number, code: string, options?: ErrorOptions & { readonly detail?: string }) {
    super(`${operation}: ${code}${options?.detail ? `\n${options.detail}` : ''}`, options);
    this.name = 'KernelError';
    this.errno = errno;
    this.code = code;
  }
}

/** The kernel, or a system library, lacks something; `hint` says what it costs and what cures it. */
export class MissingFeatureError extends Error {
  readonly feature: string;
  readonly hint: string;

  constructor(feature: string, hint: string, options?: ErrorOptions) {
    super(`${feature} is missing: ${hint}`, options);
    this.name = 'MissingFeatureError';
    this.feature = feature;
    this.hint = hint;
  }
}

/** A map pinned by an earlier version has another type or other sizes than the object's map of that name. */
export class PinnedMapError extends KernelError {
  readonly path: string;

  constructor(path: string, objectPath: string, options?: ErrorOptions) {
    super(
      `Cannot take over the pinned map ${path}: ${objectPath} declares it with another type, size or number of entries; ` +
        'move its entries to a new map, or remove the pin',
      22,
      'EINVAL',
      options,
    );
    this.name = 'PinnedMapError';
    this.path = path;
  }
}

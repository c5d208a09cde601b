import type * as Koffi from 'koffi';
import { type CFunction, bindLazily, errnoName, ffi, kernelError, lastErrno, libc } from '../abi/index.ts';
import { MissingFeatureError } from '../ports/index.ts';

/** An object of libbpf; meaningful to libbpf only. */
export type Handle = unknown;
type Bytes = Uint8Array | null;

interface Libbpf {
  readonly libbpf_set_print: CFunction<[print: unknown], unknown>;
  readonly libbpf_num_possible_cpus: CFunction<[]>;
  readonly bpf_object__open_file: CFunction<[path: string, options: Bytes], Handle>;
  readonly bpf_object__load: CFunction<[object: Handle]>;
  readonly bpf_object__close: CFunction<[object: Handle], void>;
  readonly bpf_object__next_map: CFunction<[object: Handle, previous: Handle], Handle>;
  readonly bpf_map__name: CFunction<[map: Handle], string>;
  readonly bpf_map__is_internal: CFunction<[map: Handle], boolean>;
  readonly bpf_prog_load: CFunction<
    [type: number, name: string, license: string, instructions: Uint8Array, count: number, options: Bytes]
  >;
  readonly bpf_object__find_map_by_name: CFunction<[object: Handle, name: string], Handle>;
  readonly bpf_object__find_program_by_name: CFunction<[object: Handle, name: string], Handle>;
  readonly bpf_program__fd: CFunction<[program: Handle]>;
  readonly bpf_map__fd: CFunction<[map: Handle]>;
  readonly bpf_map__set_initial_value: CFunction<[map: Handle, data: Uint8Array, size: number]>;
  readonly bpf_map__set_max_entries: CFunction<[map: Handle, count: number]>;
  readonly bpf_map__set_pin_path: CFunction<[map: Handle, path: string | null]>;
  readonly bpf_map_create: CFunction<
    [type: number, name: string, keySize: number, valueSize: number, maxEntries: number, options: Bytes]
  >;
  readonly bpf_map_lookup_elem: CFunction<[fd: number, key: Uint8Array, value: Uint8Array]>;
  readonly bpf_map_update_elem: CFunction<[fd: number, key: Uint8Array, value: Uint8Array, flags: number]>;
  readonly bpf_map_delete_elem: CFunction<[fd: number, key: Uint8Array]>;
  readonly bpf_map_get_next_key: CFunction<[fd: number, key: Bytes, next: Uint8Array]>;
  readonly bpf_map_update_batch: CFunction<
    [fd: number, keys: Uint8Array, values: Uint8Array, count: Uint32Array, options: Bytes]
  >;
  readonly bpf_map_delete_batch: CFunction<[fd: number, keys: Uint8Array, count: Uint32Array, options: Bytes]>;
  readonly bpf_map_lookup_batch: CFunction<
    [
      fd: number,
      from: Bytes,
      next: Uint8Array,
      keys: Uint8Array,
      values: Uint8Array,
      count: Uint32Array,
      options: Bytes,
    ]
  >;
  readonly bpf_link_create: CFunction<[program: number, target: number, attachType: number, options: Bytes]>;
  readonly bpf_link_update: CFunction<[link: number, program: number, options: Bytes]>;
  readonly bpf_link_detach: CFunction<[link: number]>;
  readonly bpf_prog_get_fd_by_id: CFunction<[id: number]>;
  readonly bpf_obj_pin: CFunction<[fd: number, path: string]>;
  readonly bpf_obj_get: CFunction<[path: string]>;
  readonly bpf_obj_get_info_by_fd: CFunction<[fd: number, info: Uint8Array, length: Uint32Array]>;
  readonly bpf_prog_test_run_opts: CFunction<[program: number, options: Uint8Array]>;
  readonly bpf_tc_hook_create: CFunction<[hook: Uint8Array]>;
  readonly bpf_tc_attach: CFunction<[hook: Uint8Array, options: Uint8Array]>;
  readonly bpf_tc_detach: CFunction<[hook: Uint8Array, options: Uint8Array]>;
  readonly bpf_tc_query: CFunction<[hook: Uint8Array, options: Uint8Array]>;
}

/**
 * libbpf 1.x, bound on first use. Its functions return −errno themselves, so that no second call can lose it. Keys,
 * values and structs go in as Buffers, never as addresses: an address does not keep a Buffer alive (README).
 */
export const libbpf: Libbpf = bindLazily<Libbpf>(open, {
  libbpf_set_print: 'void *libbpf_set_print(void *print)',
  libbpf_num_possible_cpus: 'int libbpf_num_possible_cpus()',
  bpf_object__open_file: 'void *bpf_object__open_file(const char *path, void *options)',
  bpf_object__load: 'int bpf_object__load(void *object)',
  bpf_object__close: 'void bpf_object__close(void *object)',
  bpf_object__next_map: 'void *bpf_object__next_map(void *object, void *previous)',
  bpf_map__name: 'const char *bpf_map__name(void *map)',
  bpf_map__is_internal: 'bool bpf_map__is_internal(void *map)',
  bpf_prog_load:
    'int bpf_prog_load(int type, const char *name, const char *license, void *instructions, size_t count, void *options)',
  bpf_object__find_map_by_name: 'void *bpf_object__find_map_by_name(void *object, const char *name)',
  bpf_object__find_program_by_name: 'void *bpf_object__find_program_by_name(void *object, const char *name)',
  bpf_program__fd: 'int bpf_program__fd(void *program)',
  bpf_map__fd: 'int bpf_map__fd(void *map)',
  bpf_map__set_initial_value: 'int bpf_map__set_initial_value(void *map, void *data, size_t size)',
  bpf_map__set_max_entries: 'int bpf_map__set_max_entries(void *map, uint32_t count)',
  bpf_map__set_pin_path: 'int bpf_map__set_pin_path(void *map, const char *path)',
  bpf_map_create:
    'int bpf_map_create(int type, const char *name, uint32_t keySize, uint32_t valueSize, uint32_t maxEntries, void *options)',
  bpf_map_lookup_elem: 'int bpf_map_lookup_elem(int fd, void *key, void *value)',
  bpf_map_update_elem: 'int bpf_map_update_elem(int fd, void *key, void *value, uint64_t flags)',
  bpf_map_delete_elem: 'int bpf_map_delete_elem(int fd, void *key)',
  bpf_map_get_next_key: 'int bpf_map_get_next_key(int fd, void *key, void *next)',
  bpf_map_update_batch: 'int bpf_map_update_batch(int fd, void *keys, void *values, void *count, void *options)',
  bpf_map_delete_batch: 'int bpf_map_delete_batch(int fd, void *keys, void *count, void *options)',
  bpf_map_lookup_batch:
    'int bpf_map_lookup_batch(int fd, void *from, void *next, void *keys, void *values, void *count, void *options)',
  bpf_link_create: 'int bpf_link_create(int program, int target, int attachType, void *options)',
  bpf_link_update: 'int bpf_link_update(int link, int program, void *options)',
  bpf_link_detach: 'int bpf_link_detach(int link)',
  bpf_prog_get_fd_by_id: 'int bpf_prog_get_fd_by_id(uint32_t id)',
  bpf_obj_pin: 'int bpf_obj_pin(int fd, const char *path)',
  bpf_obj_get: 'int bpf_obj_get(const char *path)',
  bpf_obj_get_info_by_fd: 'int bpf_obj_get_info_by_fd(int fd, void *info, void *length)',
  bpf_prog_test_run_opts: 'int bpf_prog_test_run_opts(int program, void *options)',
  bpf_tc_hook_create: 'int bpf_tc_hook_create(void *hook)',
  bpf_tc_attach: 'int bpf_tc_attach(void *hook, void *options)',
  bpf_tc_detach: 'int bpf_tc_detach(void *hook, void *options)',
  bpf_tc_query: 'int bpf_tc_query(void *hook, void *options)',
});

/** `result` of a libbpf call. @throws {KernelError} when it is −errno, naming `operation`. */
export function checkedBpf(operation: string, result: number): number {
  if (result < 0) throw kernelError(operation, result);
  return result;
}

/** A pointer libbpf returned; NULL means that it put the reason into errno. */
export function checkedPointer(operation: string, pointer: Handle): Handle {
  if (pointer === null) throw kernelError(operation, lastErrno());
  return pointer;
}

/**
 * Runs `body` and collects what libbpf prints meanwhile: for a refused program that is the verifier's log. The callback
 * lives only as long as `body` runs.
 */
export function withLibbpfLog<T>(body: (log: readonly string[]) => T): T {
  const log: string[] = [];
  const text = Buffer.alloc(1 << 20);
  const koffi = ffi();
  // int print(enum libbpf_print_level level, const char *format, va_list args). A va_list is passed as an address on
  // x86-64 (array type) and arm64 (large struct).
  const type = koffi.pointer(koffi.proto('int', ['int', 'void *', 'void *']));
  const print = koffi.register((level: number, format: unknown, args: unknown): number => {
    if (level > 0) return 0;
    const length = libc.vsnprintf(text, text.length, format, args);
    log.push(text.toString('utf8', 0, Math.min(length, text.length - 1)));
    return 0;
  }, type);
  libbpf.libbpf_set_print(print);
  try {
    return body(log);
  } finally {
    libbpf.libbpf_set_print(null);
    koffi.unregister(print);
  }
}

/** Whether `result` is the errno of that name. */
export function failedWith(result: number, ...names: string[]): boolean {
  return result < 0 && names.includes(errnoName(result));
}

function open(): Koffi.LibraryHandle {
  try {
    const library = ffi().load('libbpf.so.1');
    // Left to itself libbpf prints to standard error.
    library.func('void *libbpf_set_print(void *print)')(null);
    return library;
  } catch (cause) {
    if (cause instanceof MissingFeatureError) throw cause;
    throw new MissingFeatureError(
      'libbpf.so.1',
      'no eBPF program can be loaded, so pods reach neither other nodes nor services; install it (Debian, Ubuntu: apt-get install libbpf1)',
      { cause },
    );
  }
}

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type BinarySpec, builtBinary } from '../../../test/support/built-binary.ts';
import { etcdVersion } from '../../../test/support/etcd.ts';
import type { SuiteContext } from '../../suite.ts';

const loadBinary: BinarySpec = {
  name: 'etcdload',
  version: etcdVersion,
  module: new URL('../../rivals/etcdload/', import.meta.url),
  mainPackage: '.',
  override: 'ISTHMUS_BENCH_ETCDLOAD',
};

/** What one run of the load generator says. */
export interface LoadResult {
  readonly count: number;
  readonly seconds: number;
  /** Median from a put to its event, in milliseconds, where that was measured. */
  readonly p50?: number;
}

export type Load = (endpoint: string, ...args: readonly (string | number)[]) => Promise<LoadResult>;

/** Path of the Go program that drives every server alike; built once. */
export function loadProgram(context: Pick<SuiteContext, 'note'>): Promise<string> {
  return builtBinary(loadBinary, context.note);
}

export async function loadGenerator(context: Pick<SuiteContext, 'note' | 'signal'>): Promise<Load> {
  const program = await loadProgram(context);
  return async (endpoint, ...args) => {
    const { stdout } = await promisify(execFile)(program, [endpoint, ...args.map(String)], { signal: context.signal });
    return JSON.parse(stdout) as LoadResult;
  };
}

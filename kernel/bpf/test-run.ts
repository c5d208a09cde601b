import { ffi } from '../abi/index.ts';
import { checkedBpf, libbpf } from './libbpf.ts';

/** One run of a tc program on a packet of the caller's (`BPF_PROG_TEST_RUN`); nothing is sent. */
export interface TestRunInput {
  /** From the Ethernet header on. */
  readonly packet: Uint8Array;
  /** Device the packet seems to have come from, of the namespace that the object was loaded for. */
  readonly link?: number;
  readonly mark?: number;
  /** The five words of `skb->cb`. */
  readonly cb?: readonly number[];
}

export interface TestRunResult {
  /** `TC_ACT_…`: 0 ok, 2 drop, 7 redirect (not where to). */
  readonly verdict: number;
  readonly packet: Buffer;
  readonly mark: number;
  readonly cb: readonly number[];
}

/** Places in `struct __sk_buff`, which is the context of a tc program. */
const skb = { size: 192, mark: 8, ifindex: 40, cb: 48, cbWords: 5 } as const;
/** Places in libbpf's `struct bpf_test_run_opts`. */
const opts = {
  size: 80,
  dataIn: 8,
  dataOut: 16,
  dataSizeIn: 24,
  dataSizeOut: 28,
  contextIn: 32,
  contextOut: 40,
  contextSizeIn: 48,
  contextSizeOut: 52,
  verdict: 56,
  repeat: 60,
} as const;

/** @throws {KernelError} `EINVAL` for a packet without Ethernet header, `ENODEV` for a link that does not exist. */
export function testRun(programFd: number, name: string, input: TestRunInput): TestRunResult {
  const packet = Buffer.from(input.packet);
  // Room for what a program may put in front.
  const output = Buffer.alloc(packet.length + 256);
  const context = Buffer.alloc(skb.size);
  const result = Buffer.alloc(skb.size);
  context.writeUInt32LE(input.mark ?? 0, skb.mark);
  context.writeUInt32LE(input.link ?? 0, skb.ifindex);
  for (const [i, word] of (input.cb ?? []).slice(0, skb.cbWords).entries())
    context.writeUInt32LE(word >>> 0, skb.cb + 4 * i);

  const options = Buffer.alloc(opts.size);
  options.writeBigUInt64LE(BigInt(opts.size), 0);
  const held: Buffer[] = [];
  const place = (at: number, bytes: Buffer, sizeAt: number): void => {
    held.push(bytes);
    options.writeBigUInt64LE(ffi().address(bytes), at);
    options.writeUInt32LE(bytes.length, sizeAt);
  };
  place(opts.dataIn, packet, opts.dataSizeIn);
  place(opts.dataOut, output, opts.dataSizeOut);
  place(opts.contextIn, context, opts.contextSizeIn);
  place(opts.contextOut, result, opts.contextSizeOut);
  options.writeUInt32LE(1, opts.repeat);
  checkedBpf(`Cannot run program ${name}`, libbpf.bpf_prog_test_run_opts(programFd, options));
  // An address keeps no Buffer alive; these are, for they are used after the call.
  held.length = 0;
  return {
    verdict: options.readUInt32LE(opts.verdict),
    packet: Buffer.from(output.subarray(0, options.readUInt32LE(opts.dataSizeOut))),
    mark: result.readUInt32LE(skb.mark),
    cb: Array.from({ length: skb.cbWords }, (_, i) => result.readUInt32LE(skb.cb + 4 * i)),
  };
}

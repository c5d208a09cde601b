import { closeSync } from 'node:fs';
import {
  AF_NETLINK,
  SOCK_CLOEXEC,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
  SO_RCVBUFFORCE,
  checked,
  errnos,
  intBytes,
  kernelError,
  lastErrno,
  libc,
} from '../abi/index.ts';
import {
  type Message,
  type MessageWriter,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP_INTR,
  attributesOf,
  headerSize,
  messagesOf,
  textOf,
} from './message.ts';

/** Messages in one send: the gain is nearly all there, and the answers fit into the socket's buffer. */
const batchSize = 256;
const receiveBuffer = 8 << 20;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NLMSGERR_ATTR_MSG = 1;

/** The kernel's answer to one message: errno 0 when it was done, and its explanation where it gives one. */
export interface Acknowledgement {
  readonly errno: number;
  readonly explanation: string;
}

/**
 * A netlink socket (netlink(7)). It belongs to the network namespace in which it was opened, whatever the thread does
 * later. Calls block, but the kernel answers within the `send`: a batch takes about a millisecond.
 */
export class NetlinkSocket implements Disposable {
  #fd: number;
  #sequence = 1;
  readonly #received = Buffer.alloc(1 << 18);

  /** @param protocol 0 for rtnetlink, 16 for generic netlink. */
  constructor(protocol = 0) {
    this.#fd = checked('Cannot open a netlink socket', libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    checked('Cannot bind a netlink socket', libc.bind(this.#fd, address, address.length));
    // Refused without CAP_NET_ADMIN or on an old kernel; then the default buffer and plain errors have to do.
    libc.setsockopt(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, intBytes(1), 4);
    libc.setsockopt(this.#fd, SOL_NETLINK, NETLINK_EXT_ACK, intBytes(1), 4);
    libc.setsockopt(this.#fd, SOL_SOCKET, SO_RCVBUFFORCE, intBytes(receiveBuffer), 4);
  }

  /**
   * Sends messages that ask for an acknowledgement (NLM_F_ACK), as many at once as is wise, and returns the kernel's
   * answer to each, in order. A refused message does not keep the others from being done.
   */
  send(messages: readonly MessageWriter[]): Acknowledgement[] {
    const answers: Acknowledgement[] = [];
    for (let at = 0; at < messages.length; at += batchSize)
      this.#sendBatch(messages.slice(at, at + batchSize), answers);
    return answers;
  }

  /** Sends a dump request (NLM_F_DUMP) and returns what came; a dump that a change interrupted is made again. */
  dump(request: MessageWriter, operation: string): Message[] {
    for (let attempt = 0; ; attempt++) {
      const { messages, interrupted } = this.#dumpOnce(request, operation);
      if (!interrupted || attempt === 3) return messages;
    }
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }

  #sendBatch(messages: readonly MessageWriter[], answers: Acknowledgement[]): void {
    const first = this.#sequence;
    this.#sequence += messages.length;
    const offset = answers.length;
    this.#transmit(Buffer.concat(messages.map((message, i) => message.finish(first + i))));
    let missing = messages.length;
    while (missing > 0) {
      for (const message of messagesOf(this.#receive())) {
        const index = message.sequence - first;
        if (message.type !== NLMSG_ERROR || index < 0 || index >= messages.length) continue;
        answers[offset + index] = acknowledgementOf(message);
        missing--;
      }
    }
  }

  #dumpOnce(request: MessageWriter, operation: string): { messages: Message[]; interrupted: boolean } {
    const sequence = this.#sequence++;
    this.#transmit(request.finish(sequence));
    const messages: Message[] = [];
    let interrupted = false;
    for (;;) {
      // The receive buffer is used again for the next datagram.
      for (const message of messagesOf(Buffer.from(this.#receive()))) {
        if (message.sequence !== sequence) continue;
        interrupted ||= (message.flags & NLM_F_DUMP_INTR) !== 0;
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          const errno = message.body.length >= 4 ? -message.body.readInt32LE(0) : 0;
          if (errno !== 0) throw kernelError(operation, errno);
          return { messages, interrupted };
        }
        messages.push(message);
      }
    }
  }

  #transmit(bytes: Buffer): void {
    checked('Cannot send to netlink', libc.send(this.#open(), bytes, bytes.length, 0));
  }

  #receive(): Buffer {
    for (;;) {
      const length = libc.recv(this.#open(), this.#received, this.#received.length, 0);
      if (length >= 0) return this.#received.subarray(0, length);
      const errno = lastErrno();
      if (errno !== errnos.EINTR) throw kernelError('Cannot receive from netlink', errno);
    }
  }

  #open(): number {
    if (this.#fd < 0) throw new TypeError('The netlink socket is closed');
    return this.#fd;
  }
}

/** NLMSG_ERROR: errno, the header of our message (all of the message unless capped), then attributes. */
function acknowledgementOf(message: Message): Acknowledgement {
  const errno = -message.body.readInt32LE(0);
  if ((message.flags & NLM_F_ACK_TLVS) === 0) return { errno, explanation: '' };
  const echoed = (message.flags & NLM_F_CAPPED) !== 0 ? headerSize : message.body.readUInt32LE(4);
  const attributes = attributesOf(message.body.subarray(4 + echoed));
  return { errno, explanation: textOf(attributes.get(NLMSGERR_ATTR_MSG)) };
}

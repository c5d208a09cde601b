import { type Socket, connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Clock } from '../../runtime/clock/index.ts';
import { linkedController } from '../../runtime/tasks/index.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

interface Asking {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Whoever speaks the other protocol answers at once; somebody who says nothing speaks neither. */
const patienceMs = 1_000;
/** Status of Go's servers to whoever speaks plainly to TLS, and of ours to what is no HTTP. */
const complaint = /^HTTP\/1\.[01] 400/;

/** Whether somebody answers there who speaks HTTP without TLS. */
export async function speaksPlainly(target: Address, deps: Asking): Promise<boolean> {
  const socket = connect(target);
  const question = 'GET /version HTTP/1.1\r\nhost: store\r\nconnection: close\r\n\r\n';
  return await answer(socket, deps, (yes, no) => {
    socket.once('connect', () => socket.write(question));
    socket.once('data', (bytes: Buffer) => {
      const text = bytes.toString('latin1');
      // A server that speaks HTTP/2 alone begins with its settings.
      if ((text.startsWith('HTTP/') && !complaint.test(text)) || (bytes[0] === 0 && bytes[3] === 4)) yes();
      else no();
    });
  });
}

/** Whether somebody answers there who speaks TLS, whatever certificate he shows or wants. */
export async function speaksTls(target: Address, deps: Asking): Promise<boolean> {
  const socket = connectTls({ ...target, rejectUnauthorized: false });
  return await answer(socket, deps, (yes, no) => {
    socket.once('secureConnect', yes);
    // Alerts are words of that protocol.
    socket.once('error', (error: NodeJS.ErrnoException) => (/ALERT/.test(error.code ?? '') ? yes() : no()));
  });
}

async function answer(
  socket: Socket,
  { clock, signal }: Asking,
  ask: (yes: () => void, no: () => void) => void,
): Promise<boolean> {
  using limit = linkedController(signal);
  using _patience = clock.timer(patienceMs, () => limit.abort());
  try {
    return await new Promise<boolean>((resolve) => {
      const no = (): void => resolve(false);
      ask(() => resolve(true), no);
      for (const event of ['error', 'end', 'close']) socket.once(event, no);
      if (limit.signal.aborted) no();
      limit.signal.addEventListener('abort', no, { once: true });
    });
  } finally {
    socket.on('error', () => undefined);
    socket.destroy();
  }
}

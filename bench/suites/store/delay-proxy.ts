import { startTcpProxy } from '../../../test/support/tcp-proxy.ts';

/** A process that delays what goes to a port of this machine, each way: `delay-proxy.ts PORT MS` prints where it listens. */
const [port = '', delayMs = ''] = process.argv.slice(2);
const proxy = await startTcpProxy({ host: '127.0.0.1', port: Number(port) });
proxy.delay(Number(delayMs));
process.stdout.write(`${proxy.endpoint}\n`);

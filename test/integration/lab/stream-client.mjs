// Sends a datagram every 2 ms and a line over one TCP connection every 2 ms, and counts what comes back. Plain
// JavaScript, since it runs inside a pod's namespace by whatever Node runs the tests.
import { createSocket } from 'node:dgram';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

// It ends after its time, or earlier, when the file that may be named last is there.
const [address, tcpPort, udpPort, ms, endFile] = process.argv.slice(2);
const asked = () => endFile !== undefined && sent % 50 === 0 && existsSync(endFile);
let sent = 0;
let received = 0;
let written = 0;
let echoed = 0;
let last = performance.now();
let longestSilenceMs = 0;

const udp = createSocket('udp4');
udp.on('message', () => {
  received++;
  longestSilenceMs = Math.max(longestSilenceMs, performance.now() - last);
  last = performance.now();
});
const tcp = connect(Number(tcpPort), address);
tcp.setNoDelay(true);
let first = true;
tcp.setEncoding('utf8').on('data', (text) => {
  echoed += text.split('\n').length - 1;
  if (first) echoed--; // the server's own line
  first = false;
});
tcp.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
await new Promise((resolve) => tcp.once('connect', resolve));
last = performance.now();
for (const end = performance.now() + Number(ms); performance.now() < end && !asked(); await sleep(2)) {
  udp.send('x', Number(udpPort), address);
  sent++;
  tcp.write('y\n');
  written++;
}
const complete = () => received >= sent && echoed >= written;
for (let waited = 0; waited < 1000 && !complete(); waited += 20) await sleep(20);
process.stdout.write(JSON.stringify({ sent, received, written, echoed, longestSilenceMs }));
process.exit(0);

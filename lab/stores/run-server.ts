// Runs a store's server as a process of a lab: `node run-server.ts BINARY ARG…`. It ends when standard input ends, as all
// processes of a lab do, and takes the server along.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

const [binary = '', ...args] = process.argv.slice(2);
/** Where it exists, the kernel itself ends the server should this process be killed. */
const setpriv = '/usr/bin/setpriv';
const command = existsSync(setpriv) ? [setpriv, '--pdeathsig', 'KILL', '--', binary] : [binary];
const child = spawn(command[0] ?? binary, [...command.slice(1), ...args], { stdio: ['ignore', 'inherit', 'inherit'] });
const graceMs = 1500;
const stop = (): void => {
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), graceMs).unref();
};
process.on('SIGTERM', stop).on('SIGINT', stop);
process.stdin.on('end', stop).on('error', stop).resume();
child.once('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
child.once('exit', (code) => process.exit(code ?? 1));

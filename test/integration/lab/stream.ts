import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Result of a stream of datagrams and one TCP connection. */
export interface StreamResult {
  readonly sent: number;
  readonly received: number;
  /** Messages over one TCP connection that came back; it must be as many as were written. */
  readonly echoed: number;
  readonly written: number;
  readonly longestSilenceMs: number;
}

/** Runs `stream-client.mjs` inside a pod for `ms`, or until `endFile` is there; settles with what it counted. */
export function streamFrom(
  lab: string,
  pod: string,
  to: { readonly address: string; readonly tcp: number; readonly udp: number },
  ms: number,
  endFile?: string,
): Promise<StreamResult> {
  const binary = fileURLToPath(new URL('../../../bin/isthmus', import.meta.url));
  const client = fileURLToPath(new URL('stream-client.mjs', import.meta.url));
  return new Promise((resolve, reject) => {
    const words = [process.execPath, client, to.address, String(to.tcp), String(to.udp), String(ms)];
    if (endFile !== undefined) words.push(endFile);
    const child = spawn(binary, ['lab', 'exec', pod, '--name', lab, '--', ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('close', (code) =>
      code === 0
        ? resolve(JSON.parse(stdout) as StreamResult)
        : reject(new Error(`stream ended with ${code}: ${stdout}${stderr}`)),
    );
  });
}

import { alarmText } from './alarms.ts';
import { clusterVersion, compatibleVersion, storageName, type ServeContext } from './serve-context.ts';

/** How an answer goes out, over HTTP/1.1 or HTTP/2. */
export type HttpReply = (status: number, body: string, fields: Readonly<Record<string, string>>) => void;

/** What etcd answers beside gRPC on its client port, as far as probes and clients ask for it. */
export function answerHttp(
  context: ServeContext,
  { method, url = '' }: { readonly method?: string | undefined; readonly url?: string | undefined },
  send: HttpReply,
): void {
  const reply = (status: number, body: string, fields: Readonly<Record<string, string>> = {}): void =>
    send(status, body, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': String(Buffer.byteLength(body)),
      ...fields,
    });
  const path = url.replace(/\?.*$/s, '');
  if (!['/version', '/health', '/readyz'].includes(path)) return reply(404, '404 page not found\n');
  if (method !== 'GET') return reply(405, 'Method Not Allowed\n', { allow: 'GET' });
  if (path === '/version') {
    const version = { etcdserver: compatibleVersion, etcdcluster: clusterVersion, storage: storageName };
    return reply(200, JSON.stringify(version), { 'content-type': 'application/json' });
  }
  const healthy = (): void => {
    if (path === '/readyz') reply(200, 'ok\n');
    else reply(200, JSON.stringify({ health: 'true', reason: '' }));
  };
  const unhealthy = (error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error);
    if (path === '/readyz') reply(503, `${reason}\n`);
    else reply(503, JSON.stringify({ health: 'false', reason }));
  };
  if (context.closing) unhealthy(new Error('etcdserver: server stopped'));
  else
    context.engine.status().then(({ problem }) => {
      if (problem && !excluded(url).has(alarmText(problem)))
        unhealthy(new Error(`ALARM ${alarmText(problem)}: ${problem.message}`));
      else healthy();
    }, unhealthy);
}

/** `?exclude=NOSPACE`: alarms that the asker does not mind. */
function excluded(url: string): ReadonlySet<string> {
  return new Set(new URL(url, 'http://store').searchParams.getAll('exclude'));
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import { alarmText } from './alarms.ts';
import { clusterVersion, compatibleVersion, storageName, type ServeContext } from './serve-context.ts';

/** What etcd answers beside gRPC on its client port, as far as probes and clients ask for it. */
export function answerHttp(context: ServeContext, request: IncomingMessage, response: ServerResponse): void {
  const path = (request.url ?? '').replace(/\?.*$/s, '');
  if (!['/version', '/health', '/readyz'].includes(path)) return reply(response, 404, '404 page not found\n');
  if (request.method !== 'GET') {
    response.setHeader('allow', 'GET');
    return reply(response, 405, 'Method Not Allowed\n');
  }
  if (path === '/version') {
    const version = { etcdserver: compatibleVersion, etcdcluster: clusterVersion, storage: storageName };
    return reply(response, 200, JSON.stringify(version), 'application/json');
  }
  const healthy = (): void => {
    if (path === '/readyz') reply(response, 200, 'ok\n');
    else reply(response, 200, JSON.stringify({ health: 'true', reason: '' }));
  };
  const unhealthy = (error: unknown): void => {
    const reason = error instanceof Error ? error.message : String(error);
    if (path === '/readyz') reply(response, 503, `${reason}\n`);
    else reply(response, 503, JSON.stringify({ health: 'false', reason }));
  };
  if (context.closing) unhealthy(new Error('etcdserver: server stopped'));
  else
    context.engine.status().then(({ problem }) => {
      if (problem && !excluded(request.url).has(alarmText(problem)))
        unhealthy(new Error(`ALARM ${alarmText(problem)}: ${problem.message}`));
      else healthy();
    }, unhealthy);
}

/** `?exclude=NOSPACE`: alarms that the asker does not mind. */
function excluded(url = ''): ReadonlySet<string> {
  return new Set(new URL(url, 'http://store').searchParams.getAll('exclude'));
}

function reply(response: ServerResponse, status: number, body: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

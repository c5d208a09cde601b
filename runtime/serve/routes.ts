/** What a handler is given of one request. */
export interface ApiRequest {
  /** Named parts of the path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The parsed JSON body; undefined when there was none. */
  readonly body: unknown;
  /** Aborts when the caller has gone, or the server closes. */
  readonly signal: AbortSignal;
}

/**
 * Answers one request: a value becomes JSON, `undefined` an empty answer, an async iterable a stream of JSON lines.
 * A thrown {@link ApiError} becomes its status; any other error 500.
 */
export type ApiHandler = (request: ApiRequest) => unknown;

/** Handlers by `METHOD /path/:name`; a part that begins with a colon matches anything but a slash. */
export type ApiRoutes = Readonly<Record<string, ApiHandler>>;

export interface Route {
  readonly method: string;
  readonly parts: readonly string[];
  readonly handler: ApiHandler;
}

/** @throws {TypeError} for a key that is not `METHOD /path`. */
export function compileRoutes(routes: ApiRoutes): Route[] {
  return Object.entries(routes).map(([key, handler]) => {
    const match = /^([A-Z]+) (\/\S*)$/.exec(key);
    if (!match) throw new TypeError(`Not a route: ${JSON.stringify(key)}`);
    return { method: match[1] ?? '', parts: (match[2] ?? '').split('/'), handler };
  });
}

export type RouteMatch =
  | { readonly type: 'found'; readonly handler: ApiHandler; readonly params: Readonly<Record<string, string>> }
  /** The path exists, under other methods. */
  | { readonly type: 'other-method'; readonly methods: readonly string[] }
  | { readonly type: 'unknown' };

export function matchRoute(routes: readonly Route[], method: string, path: string): RouteMatch {
  const parts = path.split('/').map(decodePart);
  const methods: string[] = [];
  for (const route of routes) {
    const params = matchParts(route.parts, parts);
    if (!params) continue;
    if (route.method === method) return { type: 'found', handler: route.handler, params };
    methods.push(route.method);
  }
  return methods.length > 0 ? { type: 'other-method', methods } : { type: 'unknown' };
}

function matchParts(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const params: Record<string, string> = {};
  for (const [i, expected] of pattern.entries()) {
    const part = parts[i] ?? '';
    if (!expected.startsWith(':')) {
      if (expected !== part) return undefined;
    } else if (part === '') return undefined;
    else params[expected.slice(1)] = part;
  }
  return params;
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

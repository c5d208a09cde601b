/**
 * A controller that aborts with `parent`, and whose link to it ends when the controller is disposed of. Linked by hand:
 * `AbortSignal.any` on a long-lived signal kept every result in memory on older Node versions.
 */
export function linkedController(parent: AbortSignal | undefined): AbortController & Disposable {
  const controller = new AbortController();
  const follow = (): void => controller.abort(parent?.reason);
  if (parent?.aborted) follow();
  else parent?.addEventListener('abort', follow, { once: true });
  return Object.assign(controller, {
    [Symbol.dispose]: () => parent?.removeEventListener('abort', follow),
  });
}

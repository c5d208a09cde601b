export type { NodeRoute, OverlayDevice } from './entry.ts';
export { type MtuMode, routeMtu, tunnelOverhead } from './mtu.ts';
export { type OverlayPlan, overlayPlan } from './overlay-plan.ts';
export { reconcileOverlay } from './overlay.ts';
export { type RouteChanges, indexRoutes, routeChanges } from './route-plan.ts';
export { changeRoutes, overlayGateway, reconcileRoutes } from './routes.ts';

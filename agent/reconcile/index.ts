export { GroupSource, type GroupSourceOptions } from './group-source.ts';
export { rowSource } from './row-source.ts';
export { TableReconciler, type TableReconcilerOptions, type TableStatus } from './table-reconciler.ts';
export type { TablePlan, TableSource } from './table-source.ts';
export { ReconcileLoop, type ReconcileLoopOptions, type WholeReconciler } from './reconcile-loop.ts';
export { RouteReconciler } from './route-reconciler.ts';

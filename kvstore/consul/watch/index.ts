export type { FollowOptions } from './follow-options.ts';
export { follow } from './follow.ts';
export { ShardBudget } from './shard-budget.ts';

export { type FollowOptions, follow } from './follow.ts';
export { ShardBudget } from './shard-budget.ts';

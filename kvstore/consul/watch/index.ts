export { type FollowOptions, follow } from './follow.ts';

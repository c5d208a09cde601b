export { type Schedule, exponential, linear } from './schedule.ts';
export { type RetryOptions, retry } from './retry.ts';

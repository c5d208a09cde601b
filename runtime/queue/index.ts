export { CoalescingQueue } from './coalescing-queue.ts';
export { AsyncQueue } from './async-queue.ts';

export { type Clock, type Timer, systemClock } from './clock.ts';
export { VirtualClock } from './virtual-clock.ts';

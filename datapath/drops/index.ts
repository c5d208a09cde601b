export { type DropReason, type ForwardEvent, dropReasons, forwardEvents } from './reasons.ts';
export { type Counter, counterLayout, readCounters, readDrops, readForwards } from './counters.ts';

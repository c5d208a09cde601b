export { type ChildExit, type ChildOptions, LabProcess, startChild } from './child-process.ts';
export { type KeepRunning, ProcessKeeper, type ProcessKeeperOptions } from './process-keeper.ts';
export { type ProcessUsage, processUsage } from './usage.ts';

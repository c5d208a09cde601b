export { TaskGroup } from './task-group.ts';
export { linkedController } from './linked-controller.ts';
export { abortReason, isAbort } from './abort.ts';
export { Condition } from './condition.ts';
export { atMost } from './at-most.ts';

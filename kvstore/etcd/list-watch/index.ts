export { type FollowOptions, follow } from './follow.ts';
export { Landmarks } from './landmarks.ts';
export { type ListPart, type ListSettings, listParts } from './list.ts';
export { Position } from './position.ts';
export { rangeOf } from './range-of.ts';

export { largeValueBytes, putLarge } from './large.ts';
export { maxOperations, maxValueBytes, valueTooLarge } from './prepare.ts';
export { type TransactDependencies, transact } from './transact.ts';
export { submit } from './wire.ts';

export * from './wire/index.ts';
export * from './peers/index.ts';
export * from './remembered/index.ts';
export * from './remote/index.ts';
export * from './services/index.ts';
export * from './view/index.ts';
export * from './apiserver/index.ts';
export * from './roles/index.ts';

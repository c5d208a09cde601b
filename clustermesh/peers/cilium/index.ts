export { addCilium } from './add.ts';
export { admitCilium } from './admit.ts';
export { readCilium } from './read.ts';
export { type CiliumRemote, ciliumHelmValues, ciliumSecret, endpointsBeyondHelm } from './secret.ts';

export { type Inside, LinuxNetwork } from './linux-network.ts';
export { isthmusProtocol, mainTable } from './routes.ts';

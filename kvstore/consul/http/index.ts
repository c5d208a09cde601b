export { ConsulHttp, type ConsulReply, type ConsulRequest, type ConsulText } from './consul-http.ts';
export { type ConsulAddress, parseAddress } from './address.ts';
export { Connector } from './connect.ts';
export { ConsulAgent } from './consul-agent.ts';
export { Token } from './token.ts';
export { NotAppliedError, statusError } from './status-errors.ts';

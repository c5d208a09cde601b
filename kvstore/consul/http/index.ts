export { ConsulHttp, type ConsulReply, type ConsulRequest, type ConsulText } from './consul-http.ts';
export { NotAppliedError, statusError } from './status-errors.ts';

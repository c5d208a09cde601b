export { EndpointFile, EndpointFileError } from './endpoint-file.ts';
export { EndpointManager, type EndpointManagerDeps, type RestoredEndpoints } from './endpoint-manager.ts';
export { type EndpointRequest, parseEndpointRequest } from './endpoint-request.ts';
export { type EndpointListener, EndpointTable } from './endpoint-table.ts';
export { type NodeEndpoint, endpointKey } from './node-endpoint.ts';

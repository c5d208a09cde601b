import { ApiError } from '../../runtime/serve/index.ts';
import { type IpAddress, parseIp } from '../../values/ip/index.ts';

/** What a CNI (or the lab in its place) says of an endpoint. */
export interface EndpointRequest {
  readonly namespace: string;
  readonly name: string;
  /** Empty: those that the cluster assigned to the workload. */
  readonly ips: readonly IpAddress[];
  /** Name of the node's end of the veth. */
  readonly link: string;
  /** MAC of the pod's end. */
  readonly mac: string;
  /** MAC of the node's end; absent: as the device has it. */
  readonly nodeMac?: string;
}

const nameForm = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;
const macForm = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

/** @throws {ApiError} 400 naming the member. */
export function parseEndpointRequest(params: Readonly<Record<string, string>>, body: unknown): EndpointRequest {
  const { namespace = '', name = '' } = params;
  if (!nameForm.test(namespace)) throw bad('namespace', 'a Kubernetes name');
  if (!nameForm.test(name)) throw bad('name', 'a Kubernetes name');
  if (typeof body !== 'object' || body === null) throw bad('body', 'a JSON object');
  const { ips = [], link, mac, nodeMac } = body as Readonly<Record<string, unknown>>;
  if (!Array.isArray(ips)) throw bad('ips', 'an array of addresses');
  // 15 characters is what the kernel keeps of a device's name.
  if (typeof link !== 'string' || !/^[^\s/]{1,15}$/.test(link)) throw bad('link', 'the name of a device');
  if (typeof mac !== 'string' || !macForm.test(mac)) throw bad('mac', 'a MAC address');
  if (nodeMac !== undefined && (typeof nodeMac !== 'string' || !macForm.test(nodeMac)))
    throw bad('nodeMac', 'a MAC address');
  return {
    namespace,
    name,
    ips: [...new Set(ips.map(addressOf))],
    link,
    mac: mac.toLowerCase(),
    ...(nodeMac === undefined ? {} : { nodeMac: nodeMac.toLowerCase() }),
  };
}

function addressOf(value: unknown): IpAddress {
  try {
    return parseIp(String(value));
  } catch (error) {
    throw new ApiError(400, 'BAD_REQUEST', `Member ips: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function bad(member: string, expected: string): ApiError {
  return new ApiError(400, 'BAD_REQUEST', `Member ${member} must be ${expected}`);
}

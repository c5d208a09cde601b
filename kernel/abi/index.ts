export { type CFunction, bindLazily, ffi } from './ffi.ts';
export { errnoName, errnos, kernelError } from './errno.ts';
export { asKernelError, systemCode } from './system-error.ts';
export { checked, lastErrno, libc } from './libc.ts';
export {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  AF_PACKET,
  AF_UNSPEC,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_STREAM,
  SOL_NETLINK,
  SOL_SOCKET,
  SO_PEERCRED,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
  familyOf,
  intBytes,
  socketAddress,
} from './socket-address.ts';
export { checkPeerUid, peerUid } from './peer-uid.ts';
export { processStartTime } from './process-start-time.ts';

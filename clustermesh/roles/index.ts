export { type MeshUsersOptions, meshUsers } from './mesh-users.ts';
export { assignedPodCidrs } from './assigned-pod-cidrs.ts';
export { type EtcdUsersOptions, etcdShortcomings, etcdUsers, isMeshUser } from './etcd-users.ts';

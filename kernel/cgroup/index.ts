export { cgroupProcesses, cgroupRoot, createCgroup, joinCgroup, killCgroup, removeCgroup } from './cgroup.ts';

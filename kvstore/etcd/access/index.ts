export { type AccessUser, type EtcdAccessState, etcdAccessOf } from './desired-access.ts';
export { type AccessStep, accessSteps, takeAccessStep } from './access-steps.ts';
export { etcdctlCommand } from './format-step.ts';

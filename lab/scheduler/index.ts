export { LabScheduler, type PodState, type SchedulerInput } from './lab-scheduler.ts';
export { type PlacedPod, podPath } from './placed-pod.ts';
export { type PlacedService, type PlacedServices, placeServices, selects } from './place-services.ts';
export { PlacementError, nodePodCidr, objectPath, schedule } from './schedule.ts';

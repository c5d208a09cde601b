export { LabScheduler, type PodState, type SchedulerInput } from './lab-scheduler.ts';
export { type PlacedPod, podPath } from './placed-pod.ts';
export { type PlacedService, type PlacedServices, placeServices, selects } from './place-services.ts';
export { foreignNotes, namespaceNotes, ofKind, placementNotes, podNotes, workloadNotes } from './object-notes.ts';
export { type FieldNote, serviceNotes } from './service-notes.ts';
export { answersOn } from './target-ports.ts';
export { PlacementError, nodePodCidr, objectPath, schedule } from './schedule.ts';

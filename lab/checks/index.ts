export { checkConnectivity } from './connectivity.ts';
export { type PodControl, checkFailover } from './failover.ts';
export { checkServices } from './services.ts';
export { type ServiceTarget, serviceTargets } from './service-targets.ts';
export { type SurveyedService, surveyServices, unasked } from './survey.ts';

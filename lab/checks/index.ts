export { checkConnectivity } from './connectivity.ts';
export { type PodControl, checkFailover } from './failover.ts';
export { planFailover } from './failover-plan.ts';
export { checkServices } from './services.ts';
export { type ServiceTarget, backendsFor, clientFor, serviceTargets } from './service-targets.ts';
export { type SurveyedService, surveyServices, unasked } from './survey.ts';

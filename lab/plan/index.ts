export { type LabPlan, type LabPlanInput, ManifestsError, planLab } from './lab-plan.ts';

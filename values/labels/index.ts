export { type Labels, type Label, formatLabels, parseLabel, parseLabels } from './labels.ts';
export { type LabelSelector, type LabelRequirement, matchesSelector } from './selector.ts';

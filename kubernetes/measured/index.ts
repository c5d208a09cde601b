export { measureSource } from './measured-source.ts';
export { type SourceMetrics, sourceMetrics } from './source-metrics.ts';

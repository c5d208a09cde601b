export {
  type Counter,
  type Gauge,
  type Histogram,
  type HistogramSpec,
  type LabelArguments,
  type MetricSpec,
  type Metrics,
  type MetricsOptions,
  createMetrics,
} from './metrics.ts';

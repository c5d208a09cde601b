import { Counter as PromCounter, Gauge as PromGauge, Histogram as PromHistogram, Registry } from 'prom-client';
import { addProcessMetrics } from './process-metrics.ts';

/** What a metric is called (after the prefix), says of itself, and is divided by. Labels have a bounded number of values. */
export interface MetricSpec<L extends string = never> {
  /** In base units, counters ending in `_total`; the prefix is added. */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly L[];
}

/** The labels of one sample; a metric without labels takes none. */
export type LabelArguments<L extends string> = [L] extends [never] ? [] : [labels: Readonly<Record<L, string>>];

export interface Counter<L extends string = never> {
  inc(...labels: LabelArguments<L>): void;
  add(value: number, ...labels: LabelArguments<L>): void;
  /** Forgets one series, for things that are gone. */
  remove(...labels: LabelArguments<L>): void;
}

export interface Gauge<L extends string = never> {
  set(value: number, ...labels: LabelArguments<L>): void;
  remove(...labels: LabelArguments<L>): void;
}

export interface Histogram<L extends string = never> {
  observe(value: number, ...labels: LabelArguments<L>): void;
  remove(...labels: LabelArguments<L>): void;
}

export interface HistogramSpec<L extends string = never> extends MetricSpec<L> {
  /** Upper bounds, ascending. */
  readonly buckets: readonly number[];
}

/**
 * The metrics of one process. Asking again for a metric of the same name gives the same one, so that several components
 * (one per remote cluster, say) may share it.
 */
export interface Metrics {
  counter<const L extends string = never>(spec: MetricSpec<L>): Counter<L>;
  gauge<const L extends string = never>(spec: MetricSpec<L>): Gauge<L>;
  histogram<const L extends string = never>(spec: HistogramSpec<L>): Histogram<L>;
  /** Calls `refresh` before each output, for gauges that are read rather than kept, and awaits it. Disposing ends that. */
  onScrape(refresh: () => void | Promise<void>): Disposable;
  /** Everything in the text format of Prometheus. */
  text(): Promise<string>;
  readonly contentType: string;
}

export interface MetricsOptions {
  /** `isthmus_` in every process of ours. */
  readonly prefix: string;
  /** Adds `process_…` metrics (CPU, memory, start time), which carry no prefix by convention. */
  readonly process?: boolean;
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  const refreshers = new Set<() => void | Promise<void>>();
  const known = new Map<string, { readonly kind: string; readonly labels: string; readonly metric: unknown }>();

  /** One object a name; the same name with other labels or of another kind is a mistake in the program. */
  const once = <M>(kind: string, name: string, labels: readonly string[], create: () => M): M => {
    const signature = labels.join(',');
    const found = known.get(name);
    if (!found) {
      const metric = create();
      known.set(name, { kind, labels: signature, metric });
      return metric;
    }
    if (found.kind !== kind || found.labels !== signature)
      throw new TypeError(`Metric ${name} is already a ${found.kind} by [${found.labels}]`);
    return found.metric as M;
  };
  const common = (
    spec: MetricSpec<string>,
  ): { name: string; help: string; labelNames: string[]; registers: Registry[] } => ({
    name: options.prefix + spec.name,
    help: spec.help,
    labelNames: [...(spec.labels ?? [])],
    registers: [registry],
  });
  const metrics: Metrics = {
    counter: <L extends string>(spec: MetricSpec<L>) =>
      once<Counter<L>>('counter', spec.name, spec.labels ?? [], () => {
        const counter = new PromCounter<string>(common(spec));
        return {
          inc: (labels?: Readonly<Record<string, string>>) => counter.inc(labels ?? {}),
          add: (value: number, labels?: Readonly<Record<string, string>>) => counter.inc(labels ?? {}, value),
          remove: (labels?: Readonly<Record<string, string>>) => counter.remove(labels ?? {}),
        };
      }),
    gauge: <L extends string>(spec: MetricSpec<L>) =>
      once<Gauge<L>>('gauge', spec.name, spec.labels ?? [], () => {
        const gauge = new PromGauge<string>(common(spec));
        return {
          set: (value: number, labels?: Readonly<Record<string, string>>) => gauge.set(labels ?? {}, value),
          remove: (labels?: Readonly<Record<string, string>>) => gauge.remove(labels ?? {}),
        };
      }),
    histogram: <L extends string>(spec: HistogramSpec<L>) =>
      once<Histogram<L>>('histogram', spec.name, spec.labels ?? [], () => {
        const histogram = new PromHistogram<string>({ ...common(spec), buckets: [...spec.buckets] });
        return {
          observe: (value: number, labels?: Readonly<Record<string, string>>) => histogram.observe(labels ?? {}, value),
          remove: (labels?: Readonly<Record<string, string>>) => histogram.remove(labels ?? {}),
        };
      }),
    onScrape: (refresh) => {
      refreshers.add(refresh);
      return { [Symbol.dispose]: () => void refreshers.delete(refresh) };
    },
    text: async () => {
      for (const refresh of refreshers) await refresh();
      return await registry.metrics();
    },
    contentType: registry.contentType,
  };
  if (options.process) addProcessMetrics(metrics, registry);
  return metrics;
}

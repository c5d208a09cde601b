import { Counter, Gauge, type Registry } from 'prom-client';

/**
 * The usual `process_…` metrics, read when asked for. prom-client's own set keeps an event-loop monitor ticking a
 * hundred times a second, which an idle agent should not pay for.
 */
export function addProcessMetrics(scraped: { onScrape(refresh: () => void): Disposable }, registry: Registry): void {
  const registers = [registry];
  const cpu = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time spent, in seconds',
    registers,
  });
  const memory = new Gauge({ name: 'process_resident_memory_bytes', help: 'Resident memory size in bytes', registers });
  const heap = new Gauge({
    name: 'nodejs_heap_size_used_bytes',
    help: 'Used heap of the JavaScript engine in bytes',
    registers,
  });
  const start = new Gauge({
    name: 'process_start_time_seconds',
    help: 'Start time of the process since the Unix epoch in seconds',
    registers,
  });
  start.set(performance.timeOrigin / 1000);
  let counted = 0;
  scraped.onScrape(() => {
    const { user, system } = process.cpuUsage();
    const seconds = (user + system) / 1e6;
    cpu.inc(Math.max(0, seconds - counted));
    counted = seconds;
    const { rss, heapUsed } = process.memoryUsage();
    memory.set(rss);
    heap.set(heapUsed);
  });
}

import { EngineError, openEmbeddedEngine } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';

// Fills the file system under a store, makes room and goes on: `node child.ts DIRECTORY`. Prints what it found as JSON.
const [directory = ''] = process.argv.slice(2);
const options = { directory, clock: systemClock } as const;
const report: Record<string, unknown> = {};
{
  await using engine = await openEmbeddedEngine(options);
  let written = 0;
  try {
    for (; ; written++) await engine.put({ key: Buffer.from(`k${written}`), value: Buffer.alloc(50_000) });
  } catch (error) {
    report['refusal'] = error instanceof EngineError ? `${error.grpcCode} ${error.message}` : String(error);
  }
  report['problem'] = (await engine.status()).problem?.type;
  const { count } = await engine.range({ key: Buffer.from('k'), rangeEnd: Buffer.from('l'), countOnly: true });
  report['kept'] = count === written && written > 5;
  report['deleted'] =
    (await engine.deleteRange({ key: Buffer.from('k'), rangeEnd: Buffer.from('l') })).deleted === written;
  await engine.compact(engine.revision);
  while ((await engine.status()).dbSizeInUse > 100_000) await systemClock.sleep(10);
  report['problemAfter'] = (await engine.status()).problem?.type ?? 'none';
  await engine.put({ key: Buffer.from('again'), value: Buffer.alloc(50_000) });
}
await using engine = await openEmbeddedEngine(options);
report['after'] = (await engine.range({ key: Buffer.from('again') })).count;
console.log(JSON.stringify(report));

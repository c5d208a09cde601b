// `npm run soak [-- name…]`: long runs that are no part of `npm test`. Each prints one line a seed; exit code 1 if one fails.
import { etcdDifferential } from './etcd-differential.ts';
import { peerCycles } from './peer-cycles.ts';
import { powerCut } from './power-cut.ts';
import type { Soak } from './soak.ts';
import { storeContract } from './store-contract.ts';
import { storeCrash } from './store-crash.ts';

const soaks: readonly Soak[] = [storeCrash, powerCut, etcdDifferential, storeContract, peerCycles];

const wanted = process.argv.slice(2);
if (wanted.includes('--help') || wanted.includes('-h')) {
  console.log('Usage: npm run soak [-- SOAK…]\n\nSoaks (all unless named):');
  for (const { name, title } of soaks) console.log(`  ${name.padEnd(20)} ${title}`);
  process.exit(0);
}
const unknown = wanted.filter((name) => !soaks.some((soak) => soak.name === name));
if (unknown.length > 0) {
  console.error(`No soak is called ${unknown.join(', ')}; there are: ${soaks.map((soak) => soak.name).join(', ')}`);
  process.exit(2);
}
let failed = false;
for (const soak of soaks) {
  if (wanted.length > 0 && !wanted.includes(soak.name)) continue;
  console.log(`${soak.name}: ${soak.title}`);
  if (!(await soak.run((line) => console.log(`  ${line}`)))) failed = true;
}
process.exitCode = failed ? 1 : 0;

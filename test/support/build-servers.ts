// Builds every program that the tests take from the Go module proxy, so that no test has to wait for it:
// `sh deploy/node.sh test/support/build-servers.ts`. What is in the cache already takes no time.
import { builtBinary } from './built-binary.ts';
import { consulBinary } from './consul.ts';
import { kubeApiserverBinary } from './kube.ts';
import { etcdBinary, etcdctlBinary, goClientBinary } from './etcd.ts';

try {
  for (const spec of [etcdBinary, etcdctlBinary, goClientBinary, consulBinary, kubeApiserverBinary])
    console.log(await builtBinary(spec, (line) => console.error(line)));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

import { joinCgroup } from '../../kernel/index.ts';
import { PodHost } from './pod-host.ts';

/** Entry of a pod host: `main.ts CGROUP`. It joins the node's cgroup before it makes its first socket. */
const [cgroup] = process.argv.slice(2);
process.on('SIGINT', () => undefined);
if (cgroup) joinCgroup(cgroup);
await new PodHost().run(process.stdin, process.stdout);
process.exit(0);

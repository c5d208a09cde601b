import { type LabStoreKind, type StoreSwitch, labStoreKinds } from '../../lab/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { type ExitCode, defineCommand } from '../command.ts';
import { formatJson, outputOptions } from '../output/index.ts';
import { callLab } from './call-lab.ts';
import { nameOption } from './lab-options.ts';

/** `isthmus lab store CLUSTER KIND`. */
export const store = defineCommand({
  description:
    'Moves a running cluster to another store: the new one is filled and follows the old one while agents and apiserver\n' +
    'move one after another. No connection between pods is lost. Exit code 1 when the stores differ in the end.\n' +
    'etcd and consul are looked for in PATH; ISTHMUS_LAB_ETCD and ISTHMUS_LAB_CONSUL, set where the lab was started, name others.',
  options: defineOptions({ ...nameOption, ...outputOptions }),
  positionals: { usage: '<cluster> embedded|etcd|consul', min: 2, max: 2 },
  examples: ['isthmus lab store east etcd', 'isthmus lab store east consul', 'isthmus lab store east embedded'],
  ends: true,
  async run(context, { options, positionals: [cluster, to] }): Promise<ExitCode> {
    const kind = labStoreKinds.find((known: LabStoreKind) => known === to);
    if (!kind)
      throw new UsageError(`${JSON.stringify(to)} is no store`, { hint: `one of ${labStoreKinds.join(', ')}` });
    const done = (await callLab(options.name, {
      method: 'POST',
      route: '/v1/stores/switch',
      body: { cluster, to: kind },
      signal: context.signal,
    })) as StoreSwitch;
    const { from, keys, before, after } = done;
    context.stdout(
      options.output === 'json'
        ? formatJson(done)
        : `${cluster}: ${from} → ${kind}, ${keys} keys; ${before} differences before the processes moved, ${after} after\n`,
    );
    return before + after === 0 ? 0 : 1;
  },
});

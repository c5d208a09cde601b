import { expect, test } from '@jest/globals';
import { openDatapath } from '../../../datapath/index.ts';
import { needs } from '../../support/probe.ts';
import { type TcMode, at, counted, datapathOptions, introduce, makeRig } from './rig.ts';
import { connect, echo } from './traffic.ts';
import { udpStream } from './udp-stream.ts';

const describeIf = needs('root', 'netns', 'libbpf', 'bpf', 'cgroup2');

describeIf('a datapath that is opened again on its pins', () => {
  test.each<TcMode>(['tcx', 'clsact'])('loses no packet of a running stream, with programs by %s', async (tcMode) => {
    await using rig = await makeRig('dtre', tcMode, 1);
    const [one, two] = rig.nodes;
    const [client, server] = [at(one.pods, 0), at(two.pods, 0)];
    await using remote = await openDatapath(datapathOptions(two));
    await introduce(remote, two, one);
    let datapath = await openDatapath(datapathOptions(one));
    await introduce(datapath, one, two);
    await using _echo = await echo(server, 8080);
    const socket = connect(client, server.address, 8080);
    await using stream = await udpStream(client, server, 9000);

    for (let i = 0; i < 10; i++) {
      await stream.packets(50);
      // An agent that dies leaves its descriptors closed and its pins in place; the next one begins from those.
      await datapath[Symbol.asyncDispose]();
      await stream.packets(50);
      datapath = await openDatapath(datapathOptions(one));
      for (const pod of one.pods) await datapath.attachEndpoint(pod.link);
      const audit = await datapath.endpoints.audit(
        [
          { address: one.address, link: 0, endpointId: 0, mac: '', nodeMac: '', identity: 1, host: true },
          { ...client, endpointId: 1 },
        ],
        { prune: true },
      );
      expect(audit).toEqual({ written: 0, removed: 0, kept: 2 });
    }
    await stream.packets(100);
    expect(await stream.lost()).toBe(0);

    const answered = new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject));
    socket.write('still there');
    expect(String(await answered)).toBe('still there');
    socket.destroy();
    expect(counted(datapath.dropCounters())).toEqual({});
    await datapath[Symbol.asyncDispose]();
  });

  test('starts anew with a map whose size has changed, and forgets pins of devices that are gone', async () => {
    await using rig = await makeRig('dtmg', 'tcx', 1);
    const [one, two] = rig.nodes;
    {
      await using datapath = await openDatapath(datapathOptions(one));
      await introduce(datapath, one, two);
      await one.kernel.network.deleteLink('lxc1');
    }
    await using datapath = await openDatapath({ ...datapathOptions(one), maxEntries: { ipcache: 1000 } });
    const audits = {
      ipcache: await datapath.ipcache.audit([], { prune: true }),
      endpoints: await datapath.endpoints.audit([], { prune: true }),
    };
    expect(audits).toEqual({
      ipcache: { written: 0, removed: 0, kept: 0 },
      endpoints: { written: 0, removed: 2, kept: 0 },
    });
  });
});

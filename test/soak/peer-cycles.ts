import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { acceptInvitation, invite, leavePeer } from '../../clustermesh/peers/enrolment/index.ts';
import { systemClock } from '../../runtime/clock/index.ts';
import { stateHash, testCluster } from '../support/peer-clusters.ts';
import type { Soak } from './soak.ts';

const cycles = 100;

export const peerCycles: Soak = {
  name: 'peer-cycles',
  title: `two clusters become peers and part again, ${cycles} times; nothing may be left behind on either side`,
  run: async (print) => {
    const root = mkdtempSync(join(tmpdir(), 'isthmus-peer-cycles-'));
    const { signal } = new AbortController();
    const clock = systemClock;
    try {
      await using east = await testCluster(root, { name: 'east', id: 1 }, clock);
      await using west = await testCluster(root, { name: 'west', id: 2 }, clock);
      const states = (): readonly string[] => [east, west].map(({ folder }) => stateHash(folder.paths.root));
      const before = states();
      for (let i = 1; i <= cycles; i++) {
        const bundle = await invite(east.folder, { name: 'west', id: 2, nowMs: clock.now(), validForMs: 60_000 });
        await acceptInvitation(west.folder, bundle, { clock, signal });
        if (i % 3 === 0) {
          await leavePeer(east.folder, 'west', { dead: true, clock, signal });
          await leavePeer(west.folder, 'east', { dead: true, clock, signal });
        } else if (i % 3 === 1) await leavePeer(east.folder, 'west', { dead: false, clock, signal });
        else await leavePeer(west.folder, 'east', { dead: false, clock, signal });
        const after = states();
        if (after.every((state, side) => state === before[side])) continue;
        print(`cycle ${i}: something was left behind`);
        return false;
      }
      print(
        `${cycles} cycles: both folders are what they were, ${before.map((state) => state.slice(0, 12)).join(', ')}`,
      );
      return true;
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  },
};

import { jest } from '@jest/globals';
import { describeStore } from '../suite/index.ts';
import { openEmbedded } from './embedded-harness.ts';

jest.setTimeout(180_000);

describeStore('Store embedded, over the wire', () => openEmbedded(), {
  disturbances: ['restart', 'resume', 'breakable', 'wipe', 'backup'],
  shownElsewhere: ['broken lines'],
});

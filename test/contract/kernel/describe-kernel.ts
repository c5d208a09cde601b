import { describe } from '@jest/globals';
import { describeAttachments } from './attachments.ts';
import { describeLinks } from './links.ts';
import { describeMaps } from './maps.ts';
import { describeObjects } from './objects.ts';
import type { OpenRig } from './rig.ts';
import { describeRouting } from './routing.ts';

/** What every kernel promises to drivers. `open` makes a fresh one for each test. */
export function describeKernel(
  name: string,
  open: OpenRig,
  describeIf: (title: string, body: () => void) => void = describe,
): void {
  describeIf(`${name} as kernel`, () => {
    describeLinks(open);
    describeRouting(open);
    describeMaps(open);
    describeObjects(open);
    describeAttachments(open);
  });
}

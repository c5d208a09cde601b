import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { labsRoot } from '../../../lab/state/lab-directory.ts';

test.each([
  { runtime: '/run/user/7', root: '/run/user/7/isthmus-7/lab' },
  { runtime: undefined, root: join(tmpdir(), 'isthmus-7/lab') },
  { runtime: '', root: join(tmpdir(), 'isthmus-7/lab') },
  { runtime: 'run', root: join(tmpdir(), 'isthmus-7/lab') },
])(
  'a user’s labs keep their state in one place, whatever the working directory: XDG_RUNTIME_DIR=$runtime',
  ({ runtime, root }) => {
    expect(labsRoot(7, { XDG_RUNTIME_DIR: runtime })).toBe(root);
  },
);

import { defineOptions } from '../../runtime/options/index.ts';

/** For tools that can read the past. */
export const revisionOption = defineOptions({
  revision: { type: 'number', min: 1, placeholder: 'N', help: 'Read the store as it was at this revision' },
});

import { defineOptions } from '../runtime/options/index.ts';

/** How a command finds the processes it asks. */
export const socketOptions = defineOptions({
  'api-socket': {
    type: 'list',
    placeholder: 'PATH',
    default: ['/run/isthmus/agent.sock'],
    help: 'Control socket of an agent or apiserver; may be given several times',
  },
});

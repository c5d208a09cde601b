import type { CgroupAttach } from '../../kernel/ports/index.ts';

/** The programs of the socket level and where they attach. */
export const cgroupPrograms: readonly { readonly program: string; readonly attach: CgroupAttach }[] = [
  { program: 'sock4_connect', attach: 'connect4' },
  { program: 'sock4_sendmsg', attach: 'sendmsg4' },
  { program: 'sock4_recvmsg', attach: 'recvmsg4' },
  { program: 'sock4_peername', attach: 'getpeername4' },
];

import { header } from './header.ts';
import { event } from './key-value.ts';
import {
  bool,
  bytes,
  clampedInt64,
  int64,
  message,
  nested,
  repeated,
  repeatedEnumeration,
  signedId,
  text,
} from './message.ts';

export const watchCreateRequest = message({
  key: bytes(1),
  rangeEnd: bytes(2),
  startRevision: clampedInt64(3),
  progressNotify: bool(4),
  filters: repeatedEnumeration(5, ['no-put', 'no-delete']),
  prevKv: bool(6),
  /** 0 lets the server choose. */
  watchId: signedId(7),
  fragment: bool(8),
});

export const watchCancelRequest = message({ watchId: signedId(1) });
export const watchProgressRequest = message({});

/** One member is there. */
export const watchRequest = message({
  create: nested(1, watchCreateRequest),
  cancel: nested(2, watchCancelRequest),
  progress: nested(3, watchProgressRequest),
});

export const watchResponse = message({
  header,
  /** −1 (of a manual progress answer) stands for all watches of the stream. */
  watchId: signedId(2),
  created: bool(3),
  canceled: bool(4),
  compactRevision: int64(5),
  cancelReason: text(6),
  fragment: bool(7),
  events: repeated(11, event),
});

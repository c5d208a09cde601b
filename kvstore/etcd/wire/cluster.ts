import { header } from './header.ts';
import {
  bool,
  bytes,
  clampedInt64,
  enumeration,
  int64,
  message,
  repeated,
  repeatedText,
  text,
  unsignedId,
} from './message.ts';

export const member = message({
  id: unsignedId(1),
  name: text(2),
  peerUrls: repeatedText(3),
  clientUrls: repeatedText(4),
  isLearner: bool(5),
});

export const memberListRequest = message({ linearizable: bool(1) });
export const memberListResponse = message({ header, members: repeated(2, member) });

export const statusRequest = message({});
export const statusResponse = message({
  header,
  version: text(2),
  dbSize: int64(3),
  leader: unsignedId(4),
  raftIndex: unsignedId(5),
  raftTerm: unsignedId(6),
  raftAppliedIndex: unsignedId(7),
  errors: repeatedText(8),
  dbSizeInUse: int64(9),
  isLearner: bool(10),
  storageVersion: text(11),
  dbSizeQuota: int64(12),
});

export const alarmMember = message({
  memberId: unsignedId(1),
  alarm: enumeration(2, ['none', 'no-space', 'corrupt']),
});
export const alarmRequest = message({
  action: enumeration(1, ['get', 'activate', 'deactivate']),
  memberId: unsignedId(2),
  alarm: enumeration(3, ['none', 'no-space', 'corrupt']),
});
export const alarmResponse = message({ header, alarms: repeated(2, alarmMember) });

export const defragmentRequest = message({});
export const defragmentResponse = message({ header });

export const hashKvRequest = message({ revision: clampedInt64(1) });
export const hashKvResponse = message({
  header,
  hash: unsignedId(2),
  compactRevision: int64(3),
  hashRevision: int64(4),
});

export const snapshotRequest = message({});
export const snapshotResponse = message({ header, remainingBytes: unsignedId(2), blob: bytes(3), version: text(4) });

export const authenticateRequest = message({ name: text(1), password: text(2) });
/** `token` goes into the metadata field `token` of later calls. */
export const authenticateResponse = message({ header, token: text(2) });
export const authStatusRequest = message({});
export const authStatusResponse = message({ header, enabled: bool(2), authRevision: unsignedId(3) });

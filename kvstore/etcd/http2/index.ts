export { type ConnectionEvents, Http2Connection } from './connection.ts';
export { errorCode } from './frames.ts';
export { decodeHeaders, encodeHeaders } from './hpack.ts';
export { Http2Error } from './http2-error.ts';
export { Intake } from './intake.ts';
export { PageRoom, type Room } from './room.ts';
export { Http2Stream, type StreamEvents } from './stream.ts';

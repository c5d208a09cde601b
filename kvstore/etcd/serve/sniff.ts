import type { Socket } from 'node:net';

/** How every HTTP/2 connection with prior knowledge begins (RFC 9113 §3.4). */
const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/**
 * Finds out by its first bytes which protocol a connection speaks and hands it over with those bytes put back. The caller
 * closes one that says nothing.
 */
export function sniffProtocol(socket: Socket, decided: (protocol: 'http1' | 'http2') => void): void {
  let seen = Buffer.alloc(0);
  const look = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk]);
    const compared = Math.min(seen.length, preface.length);
    const isHttp2 = seen.subarray(0, compared).equals(preface.subarray(0, compared));
    if (isHttp2 && compared < preface.length) return;
    socket.off('data', look);
    socket.pause();
    socket.unshift(seen);
    decided(isHttp2 ? 'http2' : 'http1');
    // The HTTP/1 server reads by 'data' events and waits for the flow to begin again; HTTP/2 has taken the socket over.
    if (!isHttp2) process.nextTick(() => socket.resume());
  };
  socket.on('data', look);
}

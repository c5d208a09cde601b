import { describe, expect, test } from '@jest/globals';
import { type ServeSecurityValues, serveSecurity } from '../../../cli/serve-security.ts';
import { UsageError } from '../../../runtime/options/index.ts';

const nothing: ServeSecurityValues = {
  certFile: undefined,
  keyFile: undefined,
  trustedCaFile: undefined,
  clientCrlFile: undefined,
  clientCertAuth: false,
  usersFile: undefined,
  insecure: false,
};
const home = { host: '127.0.0.1', port: 1 };
const outside = { host: '0.0.0.0', port: 1 };
const tls = { certFile: 'c', keyFile: 'k' };

describe('how a store is served', () => {
  test.each([
    { what: 'in cleartext at home', listen: home, values: {}, security: { kind: 'cleartext' } },
    {
      what: 'in cleartext for all who insist',
      listen: outside,
      values: { insecure: true },
      security: { kind: 'cleartext' },
    },
    { what: 'over TLS at home', listen: home, values: tls, security: { kind: 'tls', tls } },
    {
      what: 'to users of our authority, anywhere',
      listen: outside,
      values: { ...tls, trustedCaFile: 'ca', clientCrlFile: 'crl', clientCertAuth: true },
      security: {
        kind: 'users',
        tls: { ...tls, clientCertAuth: true },
        files: { trustedCaFile: 'ca', crlFile: 'crl' },
      },
    },
    {
      what: 'to users of a file, anywhere',
      listen: outside,
      values: { ...tls, usersFile: 'u' },
      security: { kind: 'users', tls: { ...tls, clientCertAuth: true }, files: { usersFile: 'u' } },
    },
  ])('$what', ({ listen, values, security }) => {
    expect(serveSecurity(listen, { ...nothing, ...values })).toEqual(security);
  });

  test.each([
    { values: {}, says: '--listen 0.0.0.0:1 is reachable by others, and the store is served without TLS' },
    { values: tls, says: '--listen 0.0.0.0:1 is reachable by others, and clients need no certificate' },
    { values: { certFile: 'c' }, says: '--key-file is missing beside --cert-file' },
    { values: { keyFile: 'k' }, says: '--key-file needs TLS: --cert-file is missing' },
    { values: { usersFile: 'u' }, says: '--users-file needs TLS: --cert-file is missing' },
    { values: { clientCertAuth: true }, says: '--client-cert-auth needs TLS: --cert-file is missing' },
    { values: { ...tls, clientCertAuth: true }, says: '--client-cert-auth needs --trusted-ca-file' },
    { values: { ...tls, clientCrlFile: 'l' }, says: '--client-crl-file needs --trusted-ca-file' },
    { values: { ...tls, usersFile: 'u', clientCrlFile: 'l' }, says: '--client-crl-file needs --trusted-ca-file' },
  ])('not with $values', ({ values, says }) => {
    const serve = (): unknown => serveSecurity(outside, { ...nothing, ...values });
    expect(serve).toThrow(UsageError);
    expect(serve).toThrow(says);
  });
});

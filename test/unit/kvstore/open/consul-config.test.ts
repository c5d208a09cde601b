import { describe, expect, jest, test } from '@jest/globals';
import { ConsulConfigError, parseConsulConfig } from '../../../../kvstore/index.ts';

describe('the configuration of a Consul', () => {
  test('is read with everything that may stand there', () => {
    const text = `
addresses: [unix:///run/consul.sock, https://consul.example:8501]
trusted-ca-file: /ca.pem
cert-file: /cert.pem
key-file: /key.pem
token-file: /token
session-node: mesh
wait-seconds: 5
call-timeout-ms: 2000
datacenter: dc1
`;
    expect(parseConsulConfig(text, 'consul.yaml')).toEqual({
      addresses: ['unix:///run/consul.sock', 'https://consul.example:8501'],
      tls: { trustedCaFile: '/ca.pem', certFile: '/cert.pem', keyFile: '/key.pem' },
      tokenFile: '/token',
      sessionNode: 'mesh',
      waitSeconds: 5,
      callTimeoutMs: 2000,
      ignored: ['datacenter'],
    });
  });

  test('is refused without a warning that repeats what stands in it', () => {
    const warned: unknown[] = [];
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation((warning) => void warned.push(warning));
    try {
      const text = 'addresses: ["http://h:1"]\ntoken-file: {{s3cret}}';
      expect(() => parseConsulConfig(text, 'consul.yaml')).toThrow('consul.yaml: token-file: expected a text');
      expect(warned).toEqual([]);
    } finally {
      warn.mockRestore();
    }
  });

  test.each([
    { text: 'addresses: []', field: 'addresses' },
    { text: 'token-file: /t', field: 'addresses' },
    { text: 'addresses: [127.0.0.1:8500]', field: 'addresses' },
    { text: 'addresses: ["http://s3cret@host:8500"]', field: 'addresses' },
    { text: 'addresses: ["http://host:8500?token=s3cret"]', field: 'addresses' },
    { text: 'addresses: ["http://host:8500/s3cret"]', field: 'addresses' },
    { text: 'addresses: ["http://host:port/s3cret"]', field: 'addresses' },
    { text: 'addresses: ["unix:///run/consul.sock?token=s3cret"]', field: 'addresses' },
    { text: 'addresses: ["unix:///run/consul.sock#s3cret"]', field: 'addresses' },
    { text: 'addresses: ["http://h:1"]\ntoken: s3cret', field: 'token' },
    { text: 'addresses: ["http://h:1"]\ntoken-file: 5', field: 'token-file' },
    { text: 'addresses: ["http://h:1"]\ncert-file: /c', field: 'key-file' },
    { text: 'addresses: ["http://h:1"]\nkey-file: /k', field: 'cert-file' },
    { text: 'addresses: ["http://h:1"]\nwait-seconds: -1', field: 'wait-seconds' },
    { text: 'addresses: ["http://h:1"]\nwait-seconds: 601', field: 'wait-seconds' },
    { text: 'addresses: ["http://h:1"]\ncall-timeout-ms: .inf', field: 'call-timeout-ms' },
    { text: 'addresses: ["http://h:1"]\ninsecure-skip-tls-verify: "no"', field: 'insecure-skip-tls-verify' },
    { text: 'addresses: ["http://h:1"]\ntoken-file: /t\ntoken-environment: T', field: 'token-environment' },
    { text: '- s3cret', field: undefined },
    { text: 'addresses: [s3cret', field: undefined },
    { text: 'token: *s3cret', field: undefined },
    { text: 'token: |s3cret', field: undefined },
    { text: 'token: !s3cret x', field: undefined },
  ])('$text is refused with file and field, and without its secrets', ({ text, field }) => {
    let error: unknown;
    try {
      parseConsulConfig(text, '/etc/consul.yaml');
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(ConsulConfigError);
    expect(error).toMatchObject({ fileName: '/etc/consul.yaml', field });
    const { message } = error as ConsulConfigError;
    expect(message).toContain(field === undefined ? '/etc/consul.yaml: ' : `/etc/consul.yaml: ${field}: `);
    expect(message).not.toContain('s3cret');
  });
});

import { describe, expect, jest, test } from '@jest/globals';
import { EtcdConfigError, parseEtcdConfig } from '../../../../kvstore/index.ts';
import { parseEndpoint } from '../../../../kvstore/etcd/session/index.ts';

function failure(yaml: string): EtcdConfigError {
  try {
    parseEtcdConfig(yaml, '/etc/mesh/west');
  } catch (error) {
    if (error instanceof EtcdConfigError) return error;
    throw error;
  }
  throw new Error('Nothing was wrong with it');
}

describe('the etcd client configuration', () => {
  test('is read as Cilium deploys it', () => {
    const yaml = [
      'endpoints:',
      '- https://cluster2.mesh.cilium.io:2379',
      'trusted-ca-file: /var/lib/cilium/clustermesh/common-etcd-client-ca.crt',
      'key-file: /var/lib/cilium/clustermesh/common-etcd-client.key',
      'cert-file: /var/lib/cilium/clustermesh/common-etcd-client.crt',
    ].join('\n');
    expect(parseEtcdConfig(yaml, 'cluster2')).toEqual({
      endpoints: ['https://cluster2.mesh.cilium.io:2379'],
      tls: {
        trustedCaFile: '/var/lib/cilium/clustermesh/common-etcd-client-ca.crt',
        keyFile: '/var/lib/cilium/clustermesh/common-etcd-client.key',
        certFile: '/var/lib/cilium/clustermesh/common-etcd-client.crt',
      },
      ignored: [],
    });
  });

  test('may name the servers where that is not the host that is dialled', () => {
    const yaml =
      'endpoints: ["https://172.18.255.201:2379"]\ntrusted-ca-file: ca.crt\nserver-name: north.mesh.cilium.io';
    expect(parseEtcdConfig(yaml, 'north')).toEqual({
      endpoints: ['https://172.18.255.201:2379'],
      tls: { trustedCaFile: 'ca.crt', serverName: 'north.mesh.cilium.io' },
      ignored: [],
    });
  });

  test('may be JSON, with a user, and names what it ignores', () => {
    const json =
      '{"endpoints":["10.0.0.1:2379"],"username":"u","password":"p","dial-timeout":5,"reject-old-cluster":true}';
    expect(parseEtcdConfig(json, 'x')).toEqual({
      endpoints: ['http://10.0.0.1:2379'],
      username: 'u',
      password: 'p',
      ignored: ['dial-timeout', 'reject-old-cluster'],
    });
  });

  test.each([
    { yaml: 'endpoints: []', field: 'endpoints' },
    { yaml: 'username: u', field: 'endpoints' },
    { yaml: 'endpoints: [1]', field: 'endpoints' },
    { yaml: 'endpoints: ["ftp://x"]', field: 'endpoints' },
    { yaml: 'endpoints: ["http://x/path"]', field: 'endpoints' },
    { yaml: 'endpoints: ["https://x:1"]\ninsecure-transport: true', field: 'endpoints' },
    { yaml: 'endpoints: ["x:1"]\ninsecure-transport: maybe', field: 'insecure-transport' },
    { yaml: 'endpoints: ["x:1"]\ncert-file: a', field: 'key-file' },
    { yaml: 'endpoints: ["x:1"]\nkey-file: a', field: 'cert-file' },
    { yaml: 'endpoints: ["x:1"]\ntrusted-ca-file: 7', field: 'trusted-ca-file' },
    { yaml: 'endpoints: ["x:1"]\npassword: secret', field: 'username' },
    { yaml: '- a list', field: undefined },
    { yaml: 'endpoints: [', field: undefined },
  ])('names file and field when it cannot be meant: $yaml', ({ yaml, field }) => {
    const error = failure(yaml);
    expect(error.field).toBe(field);
    expect(error.message).toMatch(/^\/etc\/mesh\/west: /);
    if (field) expect(error.message).toContain(field);
  });

  test.each([
    { yaml: 'endpoints: ["http://root:hunter2@x:1"]' },
    { yaml: 'username: u\npassword: "hunter2\nendpoints: [x' },
    { yaml: 'password: hunter2\nendpoints: ["x:1"]' },
  ])('never repeats a password: $yaml', ({ yaml }) => {
    const error = failure(yaml);
    expect(`${error.message} ${String(error.cause)}`).not.toContain('hunter2');
  });
});

describe('an endpoint', () => {
  test.each([
    { text: 'http://10.0.0.1:2379', url: 'http://10.0.0.1:2379' },
    { text: 'https://store.mesh', url: 'https://store.mesh:2379' },
    { text: 'https://store.mesh:443', url: 'https://store.mesh:443' },
    { text: 'http://store.mesh:80/', url: 'http://store.mesh:80' },
    { text: 'http://[fd00::1]:2379', url: 'http://[fd00::1]:2379' },
    { text: '10.0.0.1:4001', url: 'https://10.0.0.1:4001' },
    { text: 'unix:4001', url: 'https://unix:4001' },
  ])('$text is $url', ({ text, url }) => {
    expect(parseEndpoint(text, true).url).toBe(url);
  });

  test.each(['unix:///run/etcd.sock', 'unixs://run/etcd.sock', 'unix://localhost:2379'])('%s is none', (text) => {
    expect(() => parseEndpoint(text, false)).toThrow(/is a Unix socket: an etcd is reached by http/);
  });

  test('has an IPv6 host without brackets', () => {
    expect(parseEndpoint('http://[fd00::1]:2379', false)).toMatchObject({ host: 'fd00::1', port: 2379, secure: false });
  });

  test.each(['*s3cret', '|s3cret', '>s3cret', '!s3cret', '!!s3cret x', '"a"s3cret', '{a: *s3cret}', '!s3cret!x'])(
    'whose password %s had to be quoted is refused without a word of it, or of the lines around',
    (password) => {
      const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
      const { message } = failure(`endpoints: ["http://h:1"]\nusername: root\npassword: ${password}\n`);
      expect(message).toMatch(/^\/etc\/mesh\/west: not YAML: /);
      expect(message).not.toContain('s3cret');
      expect(warn).not.toHaveBeenCalled();
      warn.mockRestore();
    },
  );
});

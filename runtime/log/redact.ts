const secretField = /(password|secret|token|private|psk|credential|authorization)/i;
const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g;
const urlCredentials = /(\b[a-z][a-z0-9+.-]*:\/\/)[^/\s:@]+:[^/\s@]+@/gi;

/** The value as it may be shown: secrets by field name, private keys and URL credentials by form. */
export function redact(name: string, value: unknown): unknown {
  if (secretField.test(name) && value !== undefined) return '[redacted]';
  if (typeof value === 'string')
    return value.replace(privateKey, '[redacted private key]').replace(urlCredentials, '$1[redacted]@');
  return value;
}

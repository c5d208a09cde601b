import { type KeyObject, createHash, createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';

const newKeyPair = promisify(generateKeyPair);

/** A fresh P-256 key, PEM (PKCS #8). */
export async function createKey(): Promise<string> {
  const { privateKey } = await newKeyPair('ec', { namedCurve: 'P-256' });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** The public half of a private key (PEM). */
export function publicKeyOf(privateKey: string): KeyObject {
  return createPublicKey(createPrivateKey(privateKey));
}

/** SHA-256 of a public key, hexadecimal: says whether two texts speak of the same key. */
export function keyHashOf(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** Whether a certificate for it is worth anything. */
export function isStrongKey(key: KeyObject): boolean {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec') return ['prime256v1', 'secp384r1', 'secp521r1'].includes(namedCurve ?? '');
  return key.asymmetricKeyType === 'rsa' && modulusLength >= 2048;
}

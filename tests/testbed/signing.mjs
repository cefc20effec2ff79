// Keys of a provider that may lie about them, and what they sign. By hand: no library signs what must not be signed.
import { createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';

const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export class Keys {
  constructor() {
    this.rotate();
  }

  // New ones; the old ones are gone.
  rotate() {
    this.rsa = pair('RS256', 'rsa', { modulusLength: 2048 });
    this.ec = pair('ES256', 'ec', { namedCurve: 'P-256' });
  }

  set() {
    return { keys: [this.rsa.jwk, this.ec.jwk] };
  }

  // The header that an honest token has.
  header(alg = 'RS256') {
    return { alg, kid: (alg === 'ES256' ? this.ec : this.rsa).jwk.kid, typ: 'JWT' };
  }

  // By the algorithm that the header names; `secret` is for HMAC. What no algorithm signs has an empty signature.
  sign(header, claims, secret = '') {
    const signed = `${part(header)}.${part(claims)}`;
    const bytes = Buffer.from(signed);
    const by = {
      RS256: () => sign('sha256', bytes, this.rsa.privateKey),
      ES256: () => sign('sha256', bytes, { key: this.ec.privateKey, dsaEncoding: 'ieee-p1363' }),
      HS256: () => createHmac('sha256', secret).update(bytes).digest(),
    };
    return `${signed}.${by[header.alg]?.().toString('base64url') ?? ''}`;
  }
}

function pair(alg, kind, options) {
  const { publicKey, privateKey } = generateKeyPairSync(kind, options);
  return { privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig' } };
}

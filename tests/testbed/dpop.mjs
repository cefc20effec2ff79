// Proofs of possession at a resource (RFC 9449 §7); at the token endpoint the provider looks at them itself.
import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from './parts.mjs';

const seen = new Set();
const refuse = (error) => {
  throw Object.assign(new Error(error), { error });
};

// The thumbprint of the key that signed, if the proof is one of this request.
export async function proofOf(proof, { method, url, token, nonce }) {
  const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
    algorithms: ['ES256', 'EdDSA'],
    typ: 'dpop+jwt',
    maxTokenAge: '5 minutes',
  }).catch(() => refuse('invalid_dpop_proof'));
  if (payload.htm !== method || payload.htu !== url) refuse('invalid_dpop_proof');
  if (token && payload.ath !== createHash('sha256').update(token).digest('base64url')) refuse('invalid_dpop_proof');
  if (nonce && payload.nonce !== nonce) refuse('use_dpop_nonce');
  if (!payload.jti || seen.has(payload.jti)) refuse('invalid_dpop_proof');
  seen.add(payload.jti);
  return calculateJwkThumbprint(protectedHeader.jwk);
}

// The token of a request at a resource, with its proof where it is bound to a key; or why there is none.
export class Holder {
  constructor(service) {
    this.service = service;
    this.nonce = randomUUID();
  }

  rotate() {
    this.nonce = randomUUID();
    return this.nonce;
  }

  // { token, value } or { error, nonce }
  async of(req) {
    const { provider, settings, issuer } = this.service;
    const [, scheme, value] = /^(bearer|dpop) (\S+)$/i.exec(req.headers.authorization ?? '') ?? [];
    const token = value && ((await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value)));
    if (!token?.isValid) return { error: 'invalid_token' };
    if (!token.jkt) return scheme.toLowerCase() === 'bearer' ? { token, value } : { error: 'invalid_token' };
    const nonce = settings.dpop_nonce ? this.nonce : undefined;
    try {
      if (scheme.toLowerCase() !== 'dpop') refuse('invalid_token');
      const url = new URL(req.url, issuer);
      const jkt = await proofOf(req.headers.dpop ?? '', { method: req.method, url: url.origin + url.pathname, token: value, nonce });
      if (jkt !== token.jkt) refuse('invalid_token');
      return { token, value };
    } catch ({ error = 'invalid_dpop_proof' }) {
      return { error, nonce };
    }
  }
}

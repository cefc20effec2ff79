// Whose JWTs a provider takes besides its own: the users' identity provider, and hosts that sign for their workloads.
// Nothing is remembered: each verification fetches the issuer's discovery document and its keys.
import { federated } from './clients.mjs';
import { createLocalJWKSet, decodeJwt, errors, jwtVerify } from './parts.mjs';

const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

export class Trust {
  constructor(service) {
    this.service = service;
    this.issuers = new Set();
    this.workloads = new Set();
    this.seen = new Set(); // `jti`s of client assertions
    this.stats = { fetched: {}, assertions: [] };
  }

  // { issuers: [whose users count], workloads: [whose workloads count] }
  add({ issuers = [], workloads = [] }) {
    for (const issuer of issuers) this.issuers.add(issuer);
    for (const issuer of workloads) this.workloads.add(issuer);
    return { issuers: [...this.issuers], workloads: [...this.workloads] };
  }

  async keys(issuer) {
    if (issuer === this.service.issuer) {
      return { keys: this.service.keys.map(({ d, p, q, dp, dq, qi, ...shown }) => shown) };
    }
    this.stats.fetched[issuer] = (this.stats.fetched[issuer] ?? 0) + 1;
    const within = { signal: AbortSignal.timeout(5000), redirect: 'error' };
    const document = await (await fetch(`${issuer}/.well-known/openid-configuration`, within)).json();
    if (document.issuer !== issuer) throw new Error(`the document at ${issuer} is of ${document.issuer}`);
    return (await fetch(document.jwks_uri, within)).json();
  }

  // The payload and header of a JWT of one of these issuers; an error of the OAuth kind otherwise.
  async verify(jwt, issuers, options = {}) {
    try {
      const { iss } = decodeJwt(jwt);
      if (!issuers.has(iss)) throw new Error(`${iss} is not trusted here`);
      return await jwtVerify(jwt, createLocalJWKSet(await this.keys(iss)), { issuer: iss, ...options });
    } catch (error) {
      throw new errors.InvalidGrant(`a JWT does not verify: ${error.message}`);
    }
  }

  // A client assertion that a host signed for one of its workloads (RFC 7521 §4.2, by federation: `iss` is the host and
  // not the client) becomes the secret of the client that was registered for it. Other requests stay as they are.
  async federate(fields) {
    const assertion = fields.get('client_assertion');
    if (fields.get('client_assertion_type') !== ASSERTION || !assertion) return fields;
    let claims;
    try {
      claims = decodeJwt(assertion);
    } catch {
      return fields;
    }
    if (!this.workloads.has(claims.iss)) return fields;
    const { issuer } = this.service;
    const { payload } = await this.verify(assertion, this.workloads, { audience: [issuer, `${issuer}/token`] });
    if (!payload.exp || !payload.jti || this.seen.has(payload.jti)) {
      throw new errors.InvalidClientAuth('an assertion ends, and is used once');
    }
    if ((fields.get('client_id') ?? federated.client_id) !== federated.client_id) {
      throw new errors.InvalidClientAuth('the assertion is of another client');
    }
    this.seen.add(payload.jti);
    this.stats.assertions.push(payload);
    fields.delete('client_assertion');
    fields.delete('client_assertion_type');
    fields.set('client_id', federated.client_id);
    fields.set('client_secret', federated.client_secret);
    return fields;
  }
}

// A provider that lies, for what honest ones never do. The first part of the path says how: the issuer of a provider
// that sends no `state` back and answers in a form is `http://127.0.0.1:PORT/no-state+form`; `/honest` tells no lie, and
// `/current` those that were last told to `POST /__test/current`. Lies.mjs and openid-lies.mjs have the list. What comes
// after a `~` in the path tells two providers with the same lies apart. Nobody is asked anything: whoever opens
// `/authorize` is sent back at once, as alice, or as who `POST /__test/user` said.
import { createHash, randomUUID } from 'node:crypto';
import { lies as oauth } from './lies.mjs';
import { lies as openid } from './openid-lies.mjs';
import { Keys } from './signing.mjs';

const lies = { ...oauth, ...openid };

const seconds = 300;

export class Liar {
  constructor(origin) {
    this.origin = origin;
    this.codes = new Map(); // code → { challenge, scope, nonce, client }
    this.refreshable = new Map(); // refresh token → { scope, client }
    this.keys = new Keys();
    this.current = []; // lies
    this.user = 'alice';
    this.pushed = new Map(); // request_uri → parameters
    this.seen = []; // every request: { lie, path, method, fields, authorization }
    this.controls = {
      stats: () => ({ requests: this.seen }),
      forget: () => void this.seen.splice(0),
      lies: () => Object.keys(lies),
      current: (names) => void (this.current = names),
      user: ({ name }) => void (this.user = name),
      rotate: () => this.keys.rotate(),
      // A user's access token for agents, by an issuer with these lies: { lies, user, audience, claims }.
      token: ({ lies: names = ['honest'], user = 'alice', audience, claims = {} }) => {
        const name = names.join('+') || 'honest';
        const issuer = `${this.origin}/${name}`;
        const tell = this.teller(this.chosen(name), { issuer, fields: new URLSearchParams() });
        const now = Math.floor(Date.now() / 1000);
        const said = { iss: issuer, sub: user, aud: audience, iat: now, exp: now + seconds, ...claims };
        return { access_token: this.signed(said, tell) };
      },
    };
  }

  async serve(req, res) {
    const url = new URL(req.url, this.origin);
    let parts = url.pathname.slice(1).split('/');
    // RFC 8414 §3.1 puts the issuer's path behind the well-known one.
    if (parts[0] === '.well-known' && parts.length === 3) parts = [parts[2], '.well-known', parts[1]];
    const [name, ...rest] = parts;
    const chosen = this.chosen(name);
    if (chosen.includes(undefined)) return plain(res, 404, `no such lie: ${name}; POST /__test/lies lists them`);
    let body = '';
    for await (const chunk of req) body += chunk;
    const fields = req.method === 'POST' ? new URLSearchParams(body) : url.searchParams;
    const path = rest.join('/');
    const { authorization = null } = req.headers;
    this.seen.push({ lie: name, path, method: req.method, fields: Object.fromEntries(fields), authorization });
    const issuer = `${this.origin}/${name}`;
    const tell = this.teller(chosen, { issuer, fields, req });
    const answers = {
      '.well-known/openid-configuration': () => send(res, tell('document', this.document(issuer)), tell),
      '.well-known/oauth-authorization-server': () => send(res, tell('document', this.document(issuer)), tell),
      authorize: () => this.authorize(res, fields, issuer, tell),
      par: () => send(res, tell('push', this.push(fields)), tell),
      device: () => send(res, tell('device', this.device(issuer, fields)), tell),
      token: () => send(res, tell('token', this.token(fields, issuer, req, tell)), tell),
      revoke: () => send(res, tell('revoke', said(200, {})), tell),
      jwks: () => send(res, tell('jwks', said(200, this.keys.set())), tell),
      // What a redirect or a wrong document leads to; whoever comes here has been led.
      stolen: () => send(res, said(200, { access_token: 'stolen', token_type: 'Bearer', expires_in: seconds }), tell),
    };
    return (answers[path] ?? (() => plain(res, 404, `nothing at ${path}`)))();
  }

  chosen(name) {
    const plain = name.split('~')[0];
    if (plain === 'honest') return [];
    return (plain === 'current' ? this.current : plain.split('+')).map((lie) => lies[lie]);
  }

  teller(chosen, at) {
    const known = { keys: this.keys, ...at };
    return (step, said) => chosen.reduce((now, lie) => (lie[step] ? (lie[step](now, known) ?? now) : now), said);
  }

  // A JWT with these claims, as the lies have it.
  signed(claims, tell) {
    tell('before');
    const header = tell('header', this.keys.header());
    return tell('signed', this.keys.sign(header, tell('claims', claims), header.secret ?? ''));
  }

  document(issuer) {
    return said(200, {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      revocation_endpoint: `${issuer}/revoke`,
      device_authorization_endpoint: `${issuer}/device`,
      pushed_authorization_request_endpoint: `${issuer}/par`,
      jwks_uri: `${issuer}/jwks`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256', 'ES256'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    });
  }

  push(fields) {
    const request_uri = `urn:ietf:params:oauth:request_uri:${randomUUID()}`;
    this.pushed.set(request_uri, new URLSearchParams(fields));
    return said(201, { request_uri, expires_in: 60 });
  }

  authorize(res, fields, issuer, tell) {
    const asked = this.pushed.get(fields.get('request_uri')) ?? fields;
    const code = randomUUID();
    const known = { challenge: asked.get('code_challenge'), nonce: asked.get('nonce'), client: asked.get('client_id') };
    this.codes.set(code, { ...known, scope: asked.get('scope') ?? '' });
    const back = new URL(asked.get('redirect_uri') ?? `${issuer}/nowhere`);
    back.searchParams.set('code', code);
    back.searchParams.set('iss', issuer);
    if (asked.get('state')) back.searchParams.set('state', asked.get('state'));
    res.writeHead(302, { location: String(tell('back', back)) }).end();
  }

  device(issuer, fields) {
    const device_code = randomUUID();
    this.codes.set(device_code, { scope: fields.get('scope') ?? '' });
    return said(200, { device_code, user_code: 'LIES-LIES', verification_uri: `${issuer}/verify`, expires_in: seconds, interval: 1 });
  }

  // As honest as can be; `tell` spoils it.
  token(fields, issuer, req, tell) {
    const grant = fields.get('grant_type');
    const tokens = (known, refresh) => this.tokens(known, refresh, issuer, tell);
    if (grant === 'authorization_code') {
      const known = this.codes.get(fields.get('code'));
      this.codes.delete(fields.get('code'));
      const challenge = createHash('sha256').update(fields.get('code_verifier') ?? '').digest('base64url');
      if (!known || known.challenge !== challenge) return said(400, { error: 'invalid_grant' });
      return tokens(known, true);
    }
    if (grant === 'refresh_token') {
      const known = this.refreshable.get(fields.get('refresh_token'));
      if (!known) return said(400, { error: 'invalid_grant' });
      this.refreshable.delete(fields.get('refresh_token'));
      return tokens({ ...known, nonce: null }, true);
    }
    if (grant?.endsWith(':device_code')) {
      const known = this.codes.get(fields.get('device_code'));
      return known ? tokens(known, true) : said(400, { error: 'invalid_grant' });
    }
    if (grant?.endsWith(':token-exchange')) {
      const answer = tokens({ scope: fields.get('scope') ?? '' }, false);
      answer.body.issued_token_type = 'urn:ietf:params:oauth:token-type:access_token';
      return answer;
    }
    return tokens({ scope: fields.get('scope') ?? '' }, false);
  }

  tokens({ scope, nonce, client }, refresh, issuer, tell) {
    const body = { access_token: `liar-${randomUUID()}`, token_type: 'Bearer', expires_in: seconds, scope };
    if (refresh) {
      body.refresh_token = `liar-refresh-${randomUUID()}`;
      this.refreshable.set(body.refresh_token, { scope, client });
    }
    if (scope.split(' ').includes('openid')) {
      const now = Math.floor(Date.now() / 1000);
      const claims = { iss: issuer, sub: this.user, aud: client, iat: now, exp: now + seconds };
      if (nonce) claims.nonce = nonce;
      body.id_token = this.signed(claims, tell);
    }
    return said(200, body);
  }
}

// What is about to be answered: a lie changes it, or takes `how` into its own hands.
const said = (status, body) => ({ status, body, headers: {}, how: null });

function plain(res, status, body) {
  res.writeHead(status, { 'content-type': 'text/plain' }).end(body);
}

function send(res, { status, body, headers, how }) {
  if (how) return how(res, body);
  const encoded = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  res.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers }).end(encoded);
}

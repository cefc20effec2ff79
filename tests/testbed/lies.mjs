// What a provider that lies can do, by name, each at one step:
//
// `document`  the discovery document          `back`    the URL that the browser is sent back to
// `token`     the answer of the token endpoint `push` `device` `revoke`  those of the other endpoints
//
// A lie changes what it is given, or returns something else. `how` takes the whole answer into its own hands.
import { brotliCompressSync, gzipSync } from 'node:zlib';

export const body = (change) => (said) => {
  if (said.status === 200) change(said.body);
};
const back = (change) => (url) => void change(url.searchParams, url);
const whole = (how) => (said) => ({ ...said, how });
const json = { 'content-type': 'application/json' };

// Sends and sends until the other side has had enough; at most a gigabyte.
function flood(res, piece, limit) {
  res.writeHead(200, json);
  let sent = 0;
  const more = () => {
    while (!res.destroyed && sent < limit) {
      sent += piece.length;
      if (!res.write(piece)) return res.once('drain', more);
    }
    if (!res.destroyed) res.end();
  };
  more();
}

const giant = whole((res, said) => {
  const text = JSON.stringify({ ...said, padding: 'x'.repeat(16 << 20) });
  res.writeHead(200, { ...json, 'content-length': text.length }).end(text);
});
const endless = whole((res) => flood(res, `{"a":"${'x'.repeat(64 << 10)}`, 1 << 30));
const compressed = (encoding, by) =>
  whole((res, said) => res.writeHead(200, { ...json, 'content-encoding': encoding }).end(by(JSON.stringify(said))));
const bomb = whole((res) =>
  res.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(64 << 20, 'x'))));
const redirect = (status) => (said, { issuer }) => ({ ...said, status, headers: { location: `${issuer}/stolen` } });
const status = (number, text = 'out of order') => () => ({ status: number, body: text, headers: { 'content-type': 'text/plain' } });
const silent = whole(() => {}); // until the other side goes away
const cut = whole((res) => res.socket.destroy());
const half = whole((res, said) => {
  const text = JSON.stringify(said);
  res.writeHead(200, { ...json, 'content-length': text.length });
  res.write(text.slice(0, text.length / 2), () => res.socket.destroy());
});
const refreshing = (lie) => (said, at) => (at.fields.get('grant_type') === 'refresh_token' ? lie(said, at) : said);

// Sends a byte a second, for a quarter of an hour.
const slow = whole((res, said) => {
  const text = JSON.stringify(said);
  res.writeHead(200, { ...json, 'content-length': text.length + 900 });
  const dripping = setInterval(() => res.write(' '), 1000);
  res.on('close', () => clearInterval(dripping));
});
const deep = whole((res, said) => {
  const text = JSON.stringify({ ...said, deep: 0 }).replace('"deep":0', `"deep":${'['.repeat(100_000)}${']'.repeat(100_000)}`);
  res.writeHead(200, json).end(text);
});
// Every member comes twice, the honest one last.
const twice = whole((res, said) => {
  const other = Object.fromEntries(Object.entries(said).map(([name, value]) => [name, typeof value === 'string' ? 'https://other.example/' : value]));
  res.writeHead(200, json).end(`${JSON.stringify(other).slice(0, -1)},${JSON.stringify(said).slice(1)}`);
});

// How a document can come, whichever it is.
export const documentLies = (name, step) =>
  Object.fromEntries(
    Object.entries({
      giant,
      endless,
      bomb,
      slow,
      silent,
      cut,
      deep,
      twice,
      redirect: redirect(302),
      html: () => ({ status: 200, body: '<!doctype html>', headers: { 'content-type': 'text/html' } }),
      503: status(503),
    }).map(([how, lie]) => [`${name}-${how}`, { [step]: lie }]),
  );

export const lies = {
  // Coming back.
  'no-state': { back: back((query) => query.delete('state')) },
  'wrong-state': { back: back((query) => query.set('state', 'somebody-elses')) },
  'state-twice': { back: back((query) => query.append('state', 'another')) },
  'no-iss': { back: back((query) => query.delete('iss')) },
  'wrong-iss': { back: back((query) => query.set('iss', 'https://other.example')) },
  'iss-twice': { back: back((query) => query.append('iss', 'https://other.example')) },
  'no-code': { back: back((query) => query.delete('code')) },
  'two-codes': { back: back((query) => query.append('code', 'another')) },
  'code-in-fragment': {
    back: back((query, url) => {
      url.hash = `code=${query.get('code')}`;
      query.delete('code');
    }),
  },
  'code-and-error': { back: back((query) => query.set('error', 'access_denied')) },
  'error-with-markup': {
    back: back((query) => {
      query.delete('code');
      query.set('error', 'access_denied');
      query.set('error_description', '<script>alert(1)</script>');
    }),
  },
  'error-strange': {
    back: back((query) => {
      query.delete('code');
      query.set('error', 'x'.repeat(4000));
    }),
  },

  // The token endpoint: what the answer says.
  'type-missing': { token: body((said) => delete said.token_type) },
  'type-mac': { token: body((said) => (said.token_type = 'mac')) },
  'type-dpop': { token: body((said) => (said.token_type = 'DPoP')) },
  'type-inverted': { token: body((said) => (said.token_type = 'bEARER')) },
  'type-lower-case': { token: body((said) => (said.token_type = 'bearer')) },
  'issued-type-missing': { token: body((said) => delete said.issued_token_type) },
  'issued-type-other': { token: body((said) => (said.issued_token_type = 'urn:ietf:params:oauth:token-type:saml2')) },
  'expires-missing': { token: body((said) => delete said.expires_in) },
  'expires-text': { token: body((said) => (said.expires_in = '300')) },
  'expires-zero': { token: body((said) => (said.expires_in = 0)) },
  'expires-negative': { token: body((said) => (said.expires_in = -1)) },
  'expires-huge': { token: body((said) => (said.expires_in = 1e300)) },
  'expires-fraction': { token: body((said) => (said.expires_in = 12.5)) },
  'expires-soon': { token: body((said) => (said.expires_in = 1)) },
  'scope-missing': { token: body((said) => delete said.scope) },
  'scope-less': { token: body((said) => (said.scope = said.scope?.split(' ')[0])) },
  'scope-more': { token: body((said) => (said.scope = `${said.scope} admin`)) },
  'scope-commas': { token: body((said) => (said.scope = said.scope?.replaceAll(' ', ','))) },
  'token-missing': { token: body((said) => delete said.access_token) },
  'token-empty': { token: body((said) => (said.access_token = '')) },
  'token-not-text': { token: body((said) => (said.access_token = { value: 'x' })) },
  'token-with-line-break': { token: body((said) => (said.access_token = 'a\r\nx-smuggled: 1')) },
  'refresh-missing': { token: body((said) => delete said.refresh_token) },
  'refresh-same': {
    token: body((said) => said.refresh_token && (said.refresh_token = 'liar-refresh-always')),
  },
  'members-twice': {
    token: whole((res, said) =>
      res.writeHead(200, json).end(JSON.stringify(said).replace('{', '{"access_token":"first","token_type":"mac",'))),
  },

  // The token endpoint: as real ones that are not quite OAuth.
  form: {
    token: (said) => ({
      ...said,
      body: String(new URLSearchParams(said.body)),
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' },
    }),
  },
  // GitHub says errors with 200.
  'error-with-200': { token: () => ({ status: 200, body: { error: 'bad_verification_code', error_description: 'expired' }, headers: {} }) },
  // Slack nests the user's token beside the bot's.
  nested: {
    token: body((said) => {
      const { access_token, scope, token_type, ...rest } = { ...said };
      for (const name of Object.keys(said)) delete said[name];
      const user = { id: 'U1', access_token, scope: scope?.replaceAll(' ', ','), token_type: 'user', ...rest };
      Object.assign(said, { ok: true, access_token: 'bot-token', token_type: 'bot', authed_user: user });
    }),
  },
  'nested-error': { token: () => ({ status: 200, body: { ok: false, error: 'invalid_code' }, headers: {} }) },

  // The token endpoint: how the answer comes.
  giant: { token: giant },
  endless: { token: endless },
  bomb: { token: bomb },
  gzip: { token: compressed('gzip', gzipSync) },
  brotli: { token: compressed('br', brotliCompressSync) },
  'encoding-unknown': { token: compressed('zigzag', (text) => text) },
  redirect: { token: redirect(302) },
  'redirect-307': { token: redirect(307) },
  silent: { token: silent },
  cut: { token: cut },
  half: { token: half },
  html: { token: () => ({ status: 200, body: '<!doctype html>Sign in', headers: { 'content-type': 'text/html' } }) },
  'not-utf8': { token: () => ({ status: 200, body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), headers: {} }) },
  array: { token: () => ({ status: 200, body: [], headers: {} }) },
  500: { token: status(500) },
  503: { token: status(503) },
  429: { token: () => ({ status: 429, body: { error: 'slow_down' }, headers: { 'retry-after': '1' } }) },
  204: { token: whole((res) => res.writeHead(204).end()) },

  // In the middle of rotation: the old refresh token is gone, and the new one does not arrive.
  'rotation-503': { token: refreshing(status(503)) },
  'rotation-cut': { token: refreshing(cut) },
  'rotation-half': { token: refreshing(half) },
  'rotation-silent': { token: refreshing(silent) },
  'refresh-refused': { token: refreshing(() => ({ status: 400, body: { error: 'invalid_grant' }, headers: {} })) },

  // The discovery document.
  'document-other-issuer': { document: body((said) => (said.issuer = 'https://other.example')) },
  'document-slash': { document: body((said) => (said.issuer += '/')) },
  'document-no-token-endpoint': { document: body((said) => delete said.token_endpoint) },
  'document-elsewhere': { document: body((said) => (said.token_endpoint = 'http://169.254.169.254/token')) },
  'document-file': { document: body((said) => (said.token_endpoint = 'file:///etc/passwd')) },
  'document-fragment': { document: body((said) => (said.authorization_endpoint += '#x')) },
  'document-no-pkce': { document: body((said) => (said.code_challenge_methods_supported = ['plain'])) },
  ...documentLies('document', 'document'),

  // Pushed requests, devices, revocations.
  'push-503': { push: status(503) },
  'push-redirect': { push: redirect(302) },
  'push-other-scheme': { push: (said) => void (said.body.request_uri = 'javascript:alert(1)') },
  'push-missing': { push: (said) => void delete said.body.request_uri },
  'device-endless': { device: endless },
  'device-script': { device: body((said) => (said.verification_uri = 'javascript:alert(1)')) },
  'device-interval-huge': { device: body((said) => (said.interval = 1e9)) },
  'device-code-markup': { device: body((said) => (said.user_code = '<b>code</b>')) },
  'revoke-503': { revoke: status(503) },
  'revoke-redirect': { revoke: redirect(302) },
  'revoke-silent': { revoke: silent },
};

// node main.mjs '{"mode":"idp"}' | '{"mode":"saas","port":4400,"stay":true}'
//
// Prints `ready URL` when it serves. Ends when its standard input does, so that it cannot outlive the test that started
// it, unless it is told to stay.
import { createServer } from 'node:http';
import { importJWK, SignJWT } from './parts.mjs';
import { Calendar } from './calendar.mjs';
import { interact } from './pages.mjs';
import { resources, Service, users } from './provider.mjs';
import { issued } from './storage.mjs';

const { mode = 'idp', port = 0, stay = false, redirects = {}, ...wishes } = JSON.parse(process.argv[2] ?? '{}');
const settings = { access_token_ttl: 300, alg: 'RS256', omit_expires_in: false, down: false, ...wishes };

const server = createServer();
await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;
const service = new Service(mode, issuer, settings);
service.redirect(redirects);
const calendar = mode === 'saas' ? new Calendar(service) : undefined;

// What only a test may do, by name.
const controls = {
  // ?drop=1 forgets the keys until now.
  rotate: (_, query) => service.rotate(query.has('drop')),
  // { client id: [redirect URIs] }
  redirects: (uris) => service.redirect(uris),
  // { access_token_ttl, alg, omit_expires_in, down }
  settings: (wanted) => Object.assign(settings, wanted),
  stats: () => ({ ...service.stats, ...calendar?.stats }),
  // Every opaque token there ever was, for tests that look for them where they must not be.
  tokens: () => issued,
  // An access token without the clicks: { user, client, scope, audience, expires_in, claims }
  token: async ({ user = 'alice', client = 'app', scope, audience, expires_in = 300, claims = {} }) => {
    const key = service.keys.find(({ alg }) => alg === settings.alg);
    const now = Math.floor(Date.now() / 1000);
    const resource = resources[mode];
    const token = new SignJWT({
      ...users[user],
      client_id: client,
      scope: scope ?? resource.scopes,
      jti: crypto.randomUUID(),
      ...claims,
    })
      .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt' })
      .setIssuer(issuer)
      .setSubject(user)
      .setAudience(audience ?? resource.uri)
      .setIssuedAt(now)
      .setExpirationTime(now + expires_in);
    return { access_token: await token.sign(await importJWK(key, key.alg)) };
  },
};

async function control(name, req, res, query) {
  let body = '';
  for await (const chunk of req) body += chunk;
  const answer = await controls[name](body ? JSON.parse(body) : {}, query);
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify(answer ?? {}));
}

server.on('request', async (req, res) => {
  try {
    const { pathname, searchParams } = new URL(req.url, issuer);
    const [, test, name] = pathname.split('/');
    if (test === '__test' && Object.hasOwn(controls, name)) return await control(name, req, res, searchParams);
    if (settings.down) return res.writeHead(503).end();
    if (await interact(service, req, res)) return;
    if (await calendar?.serve(req, res)) return;
    service.callback(req, res);
  } catch (error) {
    console.error(error);
    if (!res.headersSent) res.writeHead(500);
    res.end();
  }
});

if (!stay) process.stdin.on('end', () => process.exit()).resume();
console.log(`ready ${issuer}`);

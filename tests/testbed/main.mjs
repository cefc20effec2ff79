// node main.mjs '{"mode":"idp"}' | '{"mode":"saas","port":4400,"stay":true}' | '{"mode":"liar"}'
//
// Prints `ready URL` when it serves. Ends when its standard input does, so that it cannot outlive the test that started
// it, unless it is told to stay.
import { createServer } from 'node:http';
import { Calendar } from './calendar.mjs';
import { controls } from './controls.mjs';
import { Liar } from './liar.mjs';
import { interact } from './pages.mjs';
import { Service } from './provider.mjs';

const { mode = 'idp', port = 0, stay = false, redirects = {}, ...wishes } = JSON.parse(process.argv[2] ?? '{}');
const defaults = {
  access_token_ttl: 300,
  alg: 'RS256', // of JWT access tokens: RS256, ES256
  api_keys: { 'weather-key-weather-key': 'attache' },
  device_code_ttl: 300,
  dpop: true,
  dpop_nonce: false, // whether proofs must carry one, at the token endpoint and at the calendar
  down: false,
  id_jag_client: 'attache', // what the host is called at the other authorization server
  omit_expires_in: false,
  par: 'offered', // or `required`, `absent`
};
const settings = { ...defaults, ...wishes };

const server = createServer();
await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

async function text(req) {
  let body = '';
  for await (const chunk of req) body += chunk;
  return body;
}

const tests = async (known, req, res) => {
  const { pathname, searchParams } = new URL(req.url, issuer);
  const [, test, name] = pathname.split('/');
  if (test !== '__test' || !Object.hasOwn(known, name)) return false;
  const body = await text(req);
  const answer = await known[name](body ? JSON.parse(body) : {}, searchParams);
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify(answer ?? {}));
  return true;
};

// An honest provider.
function honest() {
  const service = new Service(mode, issuer, settings);
  service.redirect(redirects);
  const calendar = mode === 'saas' ? new Calendar(service) : undefined;
  const known = controls(service, settings, calendar);
  return async (req, res) => {
    if (await tests(known, req, res)) return;
    if (settings.down) return res.writeHead(503).end();
    if (await interact(service, req, res)) return;
    if (await calendar?.serve(req, res)) return;
    if (/^application\/x-www-form-urlencoded\b/.test(req.headers['content-type'] ?? '') && req.method === 'POST') {
      // Read here, so that a fault and a federated client are known before the provider looks.
      try {
        req.body = String(await service.trust.federate(new URLSearchParams(await text(req))));
      } catch (error) {
        res.writeHead(error.statusCode ?? 400, { 'content-type': 'application/json' });
        return res.end(JSON.stringify({ error: error.error ?? 'invalid_request', error_description: error.error_description }));
      }
    }
    service.callback(req, res);
  };
}

function lying() {
  const liar = new Liar(issuer);
  return async (req, res) => (await tests(liar.controls, req, res)) || liar.serve(req, res);
}

const answer = mode === 'liar' ? lying() : honest();
server.on('request', async (req, res) => {
  try {
    await answer(req, res);
  } catch (error) {
    console.error(error);
    if (!res.headersSent) res.writeHead(500);
    res.end();
  }
});

if (!stay) process.stdin.on('end', () => process.exit()).resume();
console.log(`ready ${issuer}`);

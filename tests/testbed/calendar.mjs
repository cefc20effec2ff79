// The third party's API: a calendar in the shape of Google's, and some services that an attacker would like.
import { createHash, randomUUID } from 'node:crypto';
import { setImmediate as tick } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Holder } from './dpop.mjs';

const hash = (text) => createHash('sha256').update(text).digest('hex');

const json = (res, status, value, headers = {}) => {
  res.writeHead(status, { 'content-type': 'application/json', ...headers });
  res.end(JSON.stringify(value));
};

async function read(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

export class Calendar {
  constructor(service) {
    this.service = service;
    this.holder = new Holder(service);
    this.events = new Map(); // user → events
    this.seeded = new Set(); // `user day`
    this.stats = { requests: {}, refused: 0, last_authorization: null, taken: [], weather: {} };
  }

  // Answers the API's paths; false when the path is another one.
  async serve(req, res) {
    const url = new URL(req.url, this.service.issuer);
    const routes = {
      '/calendar/v3/calendars/primary/events': this.calendar,
      '/echo': this.echo,
      '/whose': this.whose,
      '/about': this.about,
      '/weather': this.weather,
      '/redirect': this.redirect,
      '/take': this.take,
    };
    const route = routes[url.pathname];
    if (!route) return false;
    this.stats.last_authorization = req.headers.authorization ? hash(req.headers.authorization) : null;
    await route.call(this, req, res, url);
    return true;
  }

  async calendar(req, res, url) {
    const body = await read(req);
    const { token } = await this.held(req, res);
    if (!token) return;
    const needed = req.method === 'GET' ? 'calendar.read' : 'calendar.write';
    if (!token.scope?.split(' ').includes(needed)) {
      this.stats.refused += 1;
      json(res, 403, { error: 'insufficient_scope', scope: needed });
      return;
    }
    const user = token.accountId ?? token.clientId;
    this.stats.requests[user] = (this.stats.requests[user] ?? 0) + 1;
    if (req.method === 'POST') {
      const event = { id: randomUUID(), creator: user, ...JSON.parse(body) };
      this.of(user).push(event);
      json(res, 200, event);
      return;
    }
    const from = url.searchParams.get('timeMin') ?? '0000';
    const to = url.searchParams.get('timeMax') ?? '9999';
    this.seed(user, from);
    const items = this.of(user).filter(({ start, end }) => end.dateTime > from && start.dateTime < to);
    json(res, 200, { kind: 'calendar#events', summary: `${user}@example.test`, items });
  }

  // Whose token it was, and which: by hash, so that saying it gives nothing away.
  async whose(req, res) {
    const { token, value } = await this.holder.of(req);
    res.writeHead(token ? 200 : 401, { 'content-type': 'text/plain' });
    res.end(token ? `${token.accountId ?? token.clientId} ${hash(value)}` : 'nobody');
  }

  // All that there is to know about a token, save the token.
  async about(req, res) {
    const { token, value } = await this.held(req, res);
    if (!token) return;
    const { accountId: user, clientId: client, scope, aud: audience, jkt, extra } = token;
    json(res, 200, { user, client, scope, audience, bound: Boolean(jkt), act: extra?.act, hash: hash(value) });
  }

  // The request's token; where there is none the request is answered.
  async held(req, res) {
    const { token, value, error, nonce } = await this.holder.of(req);
    if (token) return { token, value };
    this.stats.refused += 1;
    const scheme = /^dpop /i.test(req.headers.authorization ?? '') ? 'DPoP' : 'Bearer';
    json(res, 401, { error }, { 'www-authenticate': `${scheme} error="${error}"`, ...(nonce && { 'dpop-nonce': nonce }) });
    return {};
  }

  // A service that takes API keys, wherever its customers put them: { key: customer } is in the settings.
  async weather(req, res, url) {
    await read(req);
    const { authorization = '', 'x-api-key': header } = req.headers;
    const query = url.searchParams.get('key');
    const prefixed = /^ApiKey (\S+)$/.exec(authorization)?.[1];
    const placed = header ? 'header' : query ? 'query' : prefixed ? 'prefix' : 'nowhere';
    const customer = this.service.settings.api_keys[header ?? query ?? prefixed];
    this.stats.weather[customer ? placed : 'refused'] = (this.stats.weather[customer ? placed : 'refused'] ?? 0) + 1;
    if (!customer) return json(res, 401, { error: 'that key opens nothing' });
    // It tells the key back, as careless services do.
    json(res, 200, { sky: 'clear', customer, placed, url: req.url, key: header ?? query ?? prefixed });
  }

  of(user) {
    if (!this.events.has(user)) this.events.set(user, []);
    return this.events.get(user);
  }

  // Everybody has something on every day, and no two people the same.
  seed(user, from) {
    const day = /^\d{4}-\d\d-\d\d/.exec(from)?.[0];
    if (!day || this.seeded.has(`${user} ${day}`)) return;
    this.seeded.add(`${user} ${day}`);
    const event = (summary, start, end) => ({
      id: randomUUID(),
      creator: user,
      summary: `${summary} of ${user}`,
      start: { dateTime: `${day}T${start}:00Z` },
      end: { dateTime: `${day}T${end}:00Z` },
    });
    this.of(user).push(event('stand-up', '09:00', '09:30'), event('lunch', '12:00', '13:00'));
  }

  // Says back what it was sent, in every encoding that a token could be smuggled out in.
  async echo(req, res, url) {
    const body = await read(req);
    const sent = req.headers.authorization ?? '';
    const secret = sent.replace(/^(bearer|dpop) /i, '');
    const how = url.searchParams.get('encoding') ?? 'plain';
    const text = {
      plain: () => JSON.stringify({ method: req.method, url: req.url, headers: req.headers, body }),
      percent: () => [...Buffer.from(sent)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
      hex: () => Buffer.from(secret).toString('hex'),
      base64: () => ['', 'x', 'xx'].map((pad) => Buffer.from(pad + secret).toString('base64')).join('\n'),
      base64url: () => ['', 'x', 'xx'].map((pad) => Buffer.from(pad + secret).toString('base64url')).join('\n'),
      json: () => JSON.stringify(secret).replace(/[-_]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`),
    }[how];
    if (text) {
      res.end(text());
    } else if (how === 'header') {
      res.setHeader('x-echo', sent);
      res.setHeader('authorization', sent);
      res.setHeader('www-authenticate', `Bearer realm="${secret}"`);
      res.setHeader('set-cookie', `token=${secret}`);
      res.end('look at the headers');
    } else if (how === 'gzip') {
      res.setHeader('content-encoding', 'gzip');
      res.end(gzipSync(sent));
    } else {
      for (const character of sent) {
        res.write(character);
        await tick();
      }
      res.end();
    }
  }

  async redirect(req, res, url) {
    await read(req);
    res.writeHead(Number(url.searchParams.get('code') ?? 302), { location: url.searchParams.get('to') ?? '/take' });
    res.end();
  }

  // Where a thief would have tokens sent.
  async take(req, res) {
    await read(req);
    this.stats.taken.push({ authorization: Boolean(req.headers.authorization) });
    res.end('taken');
  }
}

// A certified OpenID provider (panva's oidc-provider), in one of two parts: the users' identity provider, or a third
// party with a calendar.
import { appendFileSync } from 'node:fs';
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { clients, defaultResource, registered, resources, users } from './clients.mjs';
import { Faults } from './faults.mjs';
import { register } from './grants.mjs';
import { asked, confirm, done } from './pages.mjs';
import { errors, Provider } from './parts.mjs';
import { Storage } from './storage.mjs';
import { Trust } from './trust.mjs';

const signingKey = (alg) => {
  const { privateKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() };
};
const newKeys = () => [signingKey('RS256'), signingKey('ES256')];

const cookieKeys = [randomBytes(32).toString('hex')];
const nonceSecret = randomBytes(32);

// Which endpoint a request is for, whoever answers it.
const routes = {
  '/auth': 'authorization',
  '/request': 'pushed_authorization_request',
  '/token': 'token',
  '/token/revocation': 'revocation',
  '/token/introspection': 'introspection',
  '/device/auth': 'device_authorization',
  '/me': 'userinfo',
  '/jwks': 'jwks',
  '/.well-known/openid-configuration': 'discovery',
};

// Every secret that went over a back channel, for those who look afterwards whether somebody wrote one down.
const secrets = ['access_token', 'refresh_token', 'id_token', 'code', 'code_verifier', 'device_code', 'client_secret', 'assertion', 'subject_token', 'actor_token'];
function enter(asked, answered) {
  const ledger = process.env.TESTBED_LEDGER;
  if (!ledger) return;
  const values = secrets.flatMap((name) => [asked.get(name), typeof answered === 'object' && answered?.[name]]);
  const lines = values.filter((value) => typeof value === 'string' && value.length >= 16).map((value) => `${value}\n`);
  if (lines.length) appendFileSync(ledger, lines.join(''));
}

// The provider is built anew when its keys or its clients change; `settings` are read at each request.
export class Service {
  constructor(mode, issuer, settings) {
    this.mode = mode;
    this.issuer = issuer;
    this.settings = settings;
    this.keys = newKeys();
    this.redirects = { app: ['http://127.0.0.1/callback'], 'other-app': ['http://127.0.0.1/callback'] };
    this.clients = new Map(clients[mode].map((client) => [client.client_id, client]));
    this.trust = new Trust(this);
    this.faults = new Faults();
    // `routes` counts every request that came, answered or not; the others what was answered.
    this.stats = { routes: {}, token_requests: {}, token_errors: {}, revocations: [], exchanges: [] };
    this.build();
  }

  // New keys sign from now on. The old ones stay for verification, unless they are dropped.
  rotate(drop) {
    this.keys = [...newKeys(), ...(drop ? [] : this.keys.slice(0, 2))];
    this.build();
    return this.keys.map((key) => key.kid);
  }

  // { client id: [redirect URIs] }
  redirect(uris) {
    Object.assign(this.redirects, uris);
    this.build();
  }

  // { client id: metadata }, for a key of the test's own, say.
  register(wanted) {
    for (const [id, metadata] of Object.entries(wanted)) this.clients.set(id, registered(id, metadata));
    this.build();
  }

  build() {
    this.provider = new Provider(this.issuer, this.configuration());
    register(this);
    this.provider.use((ctx, next) => this.observe(ctx, next));
    this.callback = this.provider.callback();
  }

  configuration() {
    const { mode, settings } = this;
    return {
      adapter: Storage,
      jwks: { keys: this.keys },
      // Browsers keep cookies by host, not by port: two providers on 127.0.0.1 must not sign each other out.
      cookies: {
        keys: cookieKeys,
        names: { session: `${mode}_session`, interaction: `${mode}_interaction`, resume: `${mode}_resume` },
      },
      clients: [...this.clients.values()].map((client) => ({
        response_types: ['code'],
        redirect_uris: this.redirects[client.client_id] ?? this.redirects.attache ?? ['http://127.0.0.1/not-set-yet'],
        ...client,
      })),
      // The resource's scopes are its own: listed here too, they would have to be granted twice.
      scopes: ['openid', 'offline_access', 'email', 'profile'],
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups', 'department'] },
      conformIdTokenClaims: false,
      findAccount: async (_, id) =>
        users[id] && { accountId: id, claims: async () => ({ sub: id, email_verified: true, ...users[id] }) },
      // What claim rules are tested with.
      extraTokenClaims: async (ctx, token) => {
        const { act } = ctx?.oidc?.exchanged ?? {};
        return { ...(mode === 'idp' && users[token.accountId]), ...(act && { act }) };
      },
      clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
      ttl: {
        AccessToken: () => settings.access_token_ttl,
        AuthorizationCode: 60,
        ClientCredentials: () => settings.access_token_ttl,
        DeviceCode: () => settings.device_code_ttl,
        Grant: 86400,
        IdToken: 300,
        Interaction: 600,
        RefreshToken: 86400,
        Session: 86400,
      },
      pkce: { required: () => true },
      rotateRefreshToken: true,
      issueRefreshToken: async (_, client, code) =>
        client.grantTypeAllowed('refresh_token') && (mode === 'saas' || code.scopes.has('offline_access')),
      expiresWithSession: async () => false,
      interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
      loadExistingGrant: (ctx) => this.existingGrant(ctx),
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        deviceFlow: {
          enabled: true,
          userCodeInputSource: async (ctx, form) => void (ctx.body = asked(form)),
          userCodeConfirmSource: async (ctx, form, client, _, code) => void (ctx.body = confirm(form, client, code)),
          successSource: async (ctx) => void (ctx.body = done()),
        },
        dPoP: { enabled: settings.dpop, nonceSecret, requireNonce: () => settings.dpop_nonce },
        pushedAuthorizationRequests: { enabled: settings.par !== 'absent', requirePushedAuthorizationRequests: settings.par === 'required' },
        revocation: { enabled: true },
        introspection: { enabled: true },
        userinfo: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: async (ctx, _, several) =>
            several?.[0] ?? (ctx.oidc.client?.clientId === 'attache-sign-in' ? undefined : defaultResource(mode)),
          useGrantedResource: async () => true,
          getResourceServerInfo: async (_, uri) => this.resourceServer(uri),
        },
      },
    };
  }

  resourceServer(uri) {
    const { mode, settings } = this;
    const scope = resources[mode][uri];
    if (!scope) throw new errors.InvalidTarget();
    const format =
      mode === 'saas' ? { accessTokenFormat: 'opaque' } : { accessTokenFormat: 'jwt', jwt: { sign: { alg: settings.alg } } };
    return { scope, audience: uri, accessTokenTTL: settings.access_token_ttl, ...format };
  }

  // Nobody is asked to consent to the apps of their own company; a third party asks.
  async existingGrant(ctx) {
    const { client, provider, result, session } = ctx.oidc;
    const known = result?.consent?.grantId || session.grantIdFor(client.clientId);
    if (known) return provider.Grant.find(known);
    if (this.mode !== 'idp') return undefined;
    const grant = new provider.Grant({ accountId: session.accountId, clientId: client.clientId });
    grant.addOIDCScope('openid offline_access email profile');
    for (const [uri, scopes] of Object.entries(resources.idp)) grant.addResourceScope(uri, scopes);
    await grant.save();
    return grant;
  }

  // Counts what a test wants to know, and does the harm that a test asked for.
  async observe(ctx, next) {
    const { settings, stats } = this;
    const route = routes[ctx.path] ?? (ctx.path.startsWith('/auth/') ? 'resume' : 'other');
    const grant = new URLSearchParams(ctx.req.body ?? '').get('grant_type') ?? 'none';
    stats.routes[route] = (stats.routes[route] ?? 0) + 1;
    if (await this.faults.strike(ctx, 'before', route, grant)) return;
    await next();
    if (route === 'token') {
      const counts = ctx.status === 200 ? stats.token_requests : stats.token_errors;
      counts[grant] = (counts[grant] ?? 0) + 1;
      if (ctx.status === 200 && settings.omit_expires_in) delete ctx.body.expires_in;
    }
    if (route === 'revocation' && ctx.status === 200) {
      const { params } = ctx.oidc;
      stats.revocations.push({ hint: params?.token_type_hint, token: params?.token });
    }
    enter(new URLSearchParams(ctx.req.body ?? ''), ctx.body);
    await this.faults.strike(ctx, 'after', route, grant);
  }
}

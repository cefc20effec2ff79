// A certified OpenID provider (panva's oidc-provider), in one of two parts: the users' identity provider, or a third
// party with a calendar.
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { errors, Provider } from './parts.mjs';
import { Storage } from './storage.mjs';

export const users = {
  alice: { name: 'Alice Example', email: 'alice@example.test', groups: ['staff', 'planning'], department: 'research' },
  bob: { name: 'Bob Example', email: 'bob@example.test', groups: ['staff'], department: 'sales' },
  mallory: { name: 'Mallory Example', email: 'mallory@example.test', groups: ['guests'], department: 'none' },
};

// What access tokens are for. The identity provider's are JWTs that the host verifies; the third party's are opaque.
export const resources = {
  idp: { uri: 'https://attache.test/', scopes: 'agent.invoke' },
  saas: { uri: 'https://calendar.test/', scopes: 'calendar.read calendar.write' },
};

const clients = {
  idp: [
    // The app that calls agents: a public client.
    { client_id: 'app', token_endpoint_auth_method: 'none' },
    { client_id: 'other-app', token_endpoint_auth_method: 'none' },
    // The host, as the relying party of its own pages.
    { client_id: 'attache-sign-in', client_secret: 'sign-in-secret-sign-in-secret' },
  ],
  saas: [
    // The host, as the client that agents' credentials come through.
    { client_id: 'attache', client_secret: 'attache-secret-attache-secret' },
    { client_id: 'attache-post', client_secret: 'attache-secret-attache-secret', token_endpoint_auth_method: 'client_secret_post' },
  ],
};

const signingKey = (alg) => {
  const { privateKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() };
};
const newKeys = () => [signingKey('RS256'), signingKey('ES256')];

const cookieKeys = [randomBytes(32).toString('hex')];

// The provider is built anew when its keys or its clients change; `settings` are read at each request.
export class Service {
  constructor(mode, issuer, settings) {
    this.mode = mode;
    this.issuer = issuer;
    this.settings = settings;
    this.keys = newKeys();
    this.redirects = { app: ['http://127.0.0.1/callback'], 'other-app': ['http://127.0.0.1/callback'] };
    this.stats = { token_requests: {}, token_errors: {}, revocations: [] };
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

  build() {
    this.provider = new Provider(this.issuer, this.configuration());
    this.provider.use((ctx, next) => this.observe(ctx, next));
    this.callback = this.provider.callback();
  }

  configuration() {
    const { mode, settings } = this;
    const resource = resources[mode];
    return {
      adapter: Storage,
      jwks: { keys: this.keys },
      // Browsers keep cookies by host, not by port: two providers on 127.0.0.1 must not sign each other out.
      cookies: {
        keys: cookieKeys,
        names: { session: `${mode}_session`, interaction: `${mode}_interaction`, resume: `${mode}_resume` },
      },
      clients: clients[mode].map((client) => ({
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        redirect_uris: this.redirects[client.client_id] ?? ['http://127.0.0.1/not-set-yet'],
        ...client,
      })),
      // The resource's scopes are its own: listed here too, they would have to be granted twice.
      scopes: ['openid', 'offline_access', 'email', 'profile'],
      claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups', 'department'] },
      conformIdTokenClaims: false,
      findAccount: async (_, id) =>
        users[id] && { accountId: id, claims: async () => ({ sub: id, email_verified: true, ...users[id] }) },
      // What claim rules are tested with.
      extraTokenClaims: async (_, token) => (mode === 'idp' && users[token.accountId]) || undefined,
      ttl: {
        AccessToken: () => settings.access_token_ttl,
        AuthorizationCode: 60,
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
        revocation: { enabled: true },
        introspection: { enabled: true },
        userinfo: { enabled: true },
        resourceIndicators: {
          enabled: true,
          defaultResource: async (ctx) =>
            ctx.oidc.client?.clientId === 'attache-sign-in' ? undefined : resource.uri,
          useGrantedResource: async () => true,
          getResourceServerInfo: async (_, uri) => {
            if (uri !== resource.uri) throw new errors.InvalidTarget();
            return {
              scope: resource.scopes,
              audience: uri,
              accessTokenTTL: settings.access_token_ttl,
              ...(mode === 'saas'
                ? { accessTokenFormat: 'opaque' }
                : { accessTokenFormat: 'jwt', jwt: { sign: { alg: settings.alg } } }),
            };
          },
        },
      },
    };
  }

  // Nobody is asked to consent to the apps of their own company; a third party asks.
  async existingGrant(ctx) {
    const { client, provider, result, session } = ctx.oidc;
    const known = result?.consent?.grantId || session.grantIdFor(client.clientId);
    if (known) return provider.Grant.find(known);
    if (this.mode !== 'idp') return undefined;
    const grant = new provider.Grant({ accountId: session.accountId, clientId: client.clientId });
    grant.addOIDCScope('openid offline_access email profile');
    grant.addResourceScope(resources.idp.uri, resources.idp.scopes);
    await grant.save();
    return grant;
  }

  // Counts what a test wants to know, and tells the lies that a test asked for.
  async observe(ctx, next) {
    const { settings, stats } = this;
    await next();
    const { route, params } = ctx.oidc ?? {};
    if (route === 'token') {
      const grant = params?.grant_type ?? 'none';
      const counts = ctx.status === 200 ? stats.token_requests : stats.token_errors;
      counts[grant] = (counts[grant] ?? 0) + 1;
      if (ctx.status === 200 && settings.omit_expires_in) delete ctx.body.expires_in;
    }
    if (route === 'revocation' && ctx.status === 200) {
      stats.revocations.push({ hint: params?.token_type_hint, token: params?.token });
    }
  }
}

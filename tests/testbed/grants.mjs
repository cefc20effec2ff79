// Acting for a user who is elsewhere: token exchange (RFC 8693), JWT bearer (RFC 7523), and ID-JAG
// (draft-ietf-oauth-identity-assertion-authz-grant), both the obtaining and the redeeming.
import { DEVICE, defaultResource, EXCHANGE, JWT_BEARER, resources, users } from './clients.mjs';
import { proofOf } from './dpop.mjs';
import { errors, importJWK, SignJWT } from './parts.mjs';

const type = (name) => `urn:ietf:params:oauth:token-type:${name}`;
const ID_JAG = type('id-jag');
const JWTS = new Set([type('jwt'), type('access_token'), type('id_token')]);
const { InvalidGrant, InvalidRequest, InvalidScope, InvalidTarget } = errors;

export const grantTypes = { DEVICE, EXCHANGE, JWT_BEARER };

export function register(service) {
  const { provider } = service;
  const remembered = (handler) => async (ctx) => {
    const asked = { ...ctx.oidc.params, client: ctx.oidc.client.clientId };
    service.stats.exchanges.push(asked);
    await handler(service, ctx, ctx.oidc.params);
    asked.act = ctx.oidc.exchanged?.act;
  };
  const several = ['audience', 'resource'];
  provider.registerGrantType(
    EXCHANGE,
    remembered(exchange),
    ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type', 'scope', ...several],
    several,
  );
  provider.registerGrantType(
    JWT_BEARER,
    remembered(bearer),
    ['assertion', 'requested_token_use', 'scope', ...several],
    several,
  );
}

async function exchange(service, ctx, params) {
  const { subject_token, subject_token_type, actor_token, actor_token_type, requested_token_type } = params;
  if (!subject_token || !subject_token_type) throw new InvalidRequest('a subject_token and its type are needed');
  if (!actor_token !== !actor_token_type) throw new InvalidRequest('an actor_token and its type come together');
  const subject = await party(service, subject_token, subject_token_type);
  if (!users[subject.sub]) throw new InvalidGrant('the subject is nobody here');
  const actor = actor_token && (await party(service, actor_token, actor_token_type));
  // RFC 8693 §4.1: outermost is who acts now, inside it who acted before.
  const act = actor
    ? { sub: actor.sub, ...(actor.iss && { iss: actor.iss }), ...(subject.act && { act: subject.act }) }
    : subject.act;
  if (requested_token_type === ID_JAG) return assertion(service, ctx, subject, params);
  if (requested_token_type && requested_token_type !== type('access_token') && requested_token_type !== type('jwt')) {
    throw new InvalidRequest('no token of this type is issued here');
  }
  await issue(service, ctx, subject.sub, act, { issued_token_type: type('access_token') });
}

// Whom a token is about, by whoever issued it.
async function party(service, token, kind) {
  if (!JWTS.has(kind)) throw new InvalidRequest(`tokens of type ${kind} are not taken here`);
  const { provider, trust } = service;
  const own = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
  if (own) return { sub: own.accountId ?? own.clientId, iss: service.issuer, act: own.extra?.act };
  const issuers = new Set([service.issuer, ...trust.issuers, ...trust.workloads]);
  return (await trust.verify(token, issuers)).payload;
}

async function bearer(service, ctx, { assertion: jwt, requested_token_use }) {
  if (!jwt) throw new InvalidRequest('an assertion is needed');
  const { issuer, trust } = service;
  // Entra's way takes the token that the user sent to the middle: it is for the host, not for this provider.
  const audience = [issuer, `${issuer}/token`, 'https://attache.test/'];
  if (requested_token_use && requested_token_use !== 'on_behalf_of') throw new InvalidRequest('which use is that?');
  const { payload, protectedHeader } = await trust.verify(jwt, trust.issuers, { audience });
  if (protectedHeader.typ === 'oauth-id-jag+jwt') {
    if (payload.aud !== issuer) throw new InvalidGrant('the assertion is for another authorization server');
    if (payload.client_id !== ctx.oidc.client.clientId) throw new InvalidGrant('the assertion is for another client');
    if (trust.seen.has(payload.jti)) throw new InvalidGrant('the assertion was redeemed');
    trust.seen.add(payload.jti);
  }
  if (!users[payload.sub]) throw new InvalidGrant('the subject is nobody here');
  await issue(service, ctx, payload.sub, payload.act, {});
}

// What was asked for, of what is offered at the resource that was asked for.
function wanted(service, { resource, audience, scope }) {
  const offered = resources[service.mode];
  const uri = [resource, audience].flat().find(Boolean) ?? defaultResource(service.mode);
  if (!offered[uri]) throw new InvalidTarget(`there is no ${uri} here`);
  const scopes = scope ? scope.split(' ') : offered[uri].split(' ');
  const missing = scopes.filter((name) => !offered[uri].split(' ').includes(name));
  if (missing.length) throw new InvalidScope('not offered here', missing.join(' '));
  return { uri, scope: scopes.join(' ') };
}

async function issue(service, ctx, user, act, more) {
  const { provider } = service;
  const { client } = ctx.oidc;
  const { uri, scope } = wanted(service, ctx.oidc.params);
  const grant = new provider.Grant({ accountId: user, clientId: client.clientId });
  grant.addResourceScope(uri, scope);
  const token = new provider.AccessToken({ accountId: user, client, grantId: await grant.save(), scope });
  token.resourceServer = new provider.ResourceServer(uri, service.resourceServer(uri));
  const proof = ctx.get('dpop');
  if (proof) {
    token.setThumbprint('jkt', await proofOf(proof, { method: ctx.method, url: `${service.issuer}/token` }));
  } else if (client.dpopBoundAccessTokens) {
    throw new InvalidRequest('DPoP proof JWT not provided');
  }
  ctx.oidc.exchanged = { act }; // for `extraTokenClaims`
  const access_token = await token.save();
  ctx.body = { access_token, token_type: token.tokenType, expires_in: token.expiration, scope, ...more };
}

// An ID-JAG: the identity provider's word to another authorization server.
async function assertion(service, ctx, subject, { audience, resource, scope }) {
  if (typeof audience !== 'string') throw new InvalidRequest('an ID-JAG is for one authorization server');
  const key = service.keys.find(({ alg }) => alg === service.settings.alg);
  const now = Math.floor(Date.now() / 1000);
  const client_id = service.settings.id_jag_client;
  const jwt = new SignJWT({ client_id, scope, resource, jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'oauth-id-jag+jwt' })
    .setIssuer(service.issuer)
    .setSubject(subject.sub)
    .setAudience(audience)
    .setIssuedAt(now)
    .setExpirationTime(now + 300);
  const access_token = await jwt.sign(await importJWK(key, key.alg));
  ctx.body = { access_token, issued_token_type: ID_JAG, token_type: 'N_A', expires_in: 300, scope };
}

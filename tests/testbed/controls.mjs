// What only a test may do, by name: `POST /__test/<name>` with JSON.
import { defaultResource, resources, users } from './clients.mjs';
import { importJWK, SignJWT } from './parts.mjs';
import { expire, issued, revoke } from './storage.mjs';

export function controls(service, settings, calendar) {
  const { mode, issuer } = service;
  return {
    // ?drop=1 forgets the keys until now.
    rotate: (_, query) => service.rotate(query.has('drop')),
    // { client id: [redirect URIs] }
    redirects: (uris) => service.redirect(uris),
    // { client id: metadata }: more clients, or others than there were.
    clients: (wanted) => service.register(wanted),
    // { issuers, workloads }: whose JWTs count here.
    trust: (more) => service.trust.add(more),
    // See `defaults` of main.mjs.
    settings: (wanted) => {
      Object.assign(settings, wanted);
      service.build();
    },
    // See faults.mjs.
    fault: (wanted) => service.faults.add(wanted),
    release: () => service.faults.release(),
    // { user, client }: access tokens end now; grants and all their tokens end now.
    expire: (whose) => ({ expired: expire(whose) }),
    revoke: async (whose) => ({ revoked: await revoke(whose) }),
    stats: () => ({ ...service.stats, ...service.trust.stats, struck: service.faults.struck, ...calendar?.stats }),
    // Every opaque token there ever was, for tests that look for them where they must not be.
    tokens: () => issued,
    // { user_code, user, refuse }: what a person does at the device flow's pages.
    device: async ({ user_code, user, refuse = false }) => {
      const { provider } = service;
      const code = await provider.DeviceCode.findByUserCode(user_code.replaceAll('-', ''));
      if (!code) throw new Error(`there is no code ${user_code}`);
      if (refuse) {
        Object.assign(code, { error: 'access_denied', errorDescription: 'the user refused' });
      } else {
        const grant = new provider.Grant({ accountId: user, clientId: code.clientId });
        const uri = [code.resource].flat().find(Boolean) ?? defaultResource(mode);
        grant.addOIDCScope('openid offline_access');
        grant.addResourceScope(uri, resources[mode][uri]);
        Object.assign(code, { accountId: user, grantId: await grant.save(), scope: code.params.scope, resource: uri });
      }
      await code.save();
    },
    // A new nonce for proofs of possession at the calendar; the old one is no good from now on.
    nonce: () => ({ nonce: calendar.holder.rotate() }),
    // An access token without the clicks: { user, client, scope, audience, expires_in, claims }
    token: async ({ user = 'alice', client = 'app', scope, audience, expires_in = 300, claims = {} }) => {
      const key = service.keys.find(({ alg }) => alg === settings.alg);
      const now = Math.floor(Date.now() / 1000);
      const uri = defaultResource(mode);
      const token = new SignJWT({
        ...users[user],
        client_id: client,
        scope: scope ?? resources[mode][uri],
        jti: crypto.randomUUID(),
        ...claims,
      })
        .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt' })
        .setIssuer(issuer)
        .setSubject(user)
        .setAudience(audience ?? uri)
        .setIssuedAt(now)
        .setExpirationTime(now + expires_in);
      return { access_token: await token.sign(await importJWK(key, key.alg)) };
    },
  };
}

// Signing in and agreeing, as plain forms: a person clicks, a test posts.
import { users } from './clients.mjs';

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const page = (title, body) => `<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(title)}</title>
<style>body{font:16px/1.5 system-ui;max-width:28rem;margin:4rem auto;padding:0 1rem}button{font:inherit;padding:.4rem 1rem;margin:.2rem}</style>
<h1>${escape(title)}</h1>${body}`;

const signIn = (uid) =>
  page(
    'Who are you?',
    `<p>A test identity: pick one.</p><form method="post" action="/interaction/${uid}/login">${Object.keys(users)
      .map((user) => `<button name="login" value="${user}">${user}</button>`)
      .join('')}</form>`,
  );

const agree = (uid, client, scopes) =>
  page(
    'Do you agree?',
    `<p><b>${escape(client)}</b> asks for:</p><form method="post" action="/interaction/${uid}/confirm"><ul>${scopes
      .map((scope) => `<li>${escape(scope)}</li>`)
      .join('')}</ul><button>Agree</button></form><form method="post" action="/interaction/${uid}/abort"><button>Refuse</button></form>`,
  );

// The device flow's pages (RFC 8628): the provider brings the forms, these their buttons.
export const asked = (form) => page('Which code?', `${form}<button form="op.deviceInputForm">Go on</button>`);
export const confirm = (form, client, code) =>
  page('Is it this one?', `<p><b>${escape(client.clientId)}</b>, <code>${escape(code)}</code></p>${form}<button form="op.deviceConfirmForm">Yes</button>`);
export const done = () => page('Done', '<p>Go back to your device.</p>');

async function form(req) {
  let text = '';
  for await (const chunk of req) text += chunk;
  return new URLSearchParams(text);
}

// Answers /interaction/…; false when the path is another one.
export async function interact(service, req, res) {
  const path = new URL(req.url, service.issuer).pathname.split('/').slice(1);
  if (path[0] !== 'interaction') return false;
  const { provider } = service;
  const { uid, prompt, params, session, grantId } = await provider.interactionDetails(req, res);
  const finish = (result) => provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });

  if (req.method === 'GET') {
    const { missingOIDCScope = [], missingResourceScopes = {} } = prompt.details;
    const scopes = [...missingOIDCScope, ...Object.values(missingResourceScopes).flat()];
    res.setHeader('content-type', 'text/html; charset=utf-8');
    res.end(prompt.name === 'login' ? signIn(uid) : agree(uid, params.client_id, scopes));
    return true;
  }

  const fields = await form(req);
  if (path[2] === 'login' && users[fields.get('login')]) {
    await finish({ login: { accountId: fields.get('login') } });
  } else if (path[2] === 'confirm' && prompt.name === 'consent') {
    await finish({ consent: { grantId: await granted(provider, prompt.details, { params, session, grantId }, fields) } });
  } else {
    await finish({ error: 'access_denied', error_description: 'the user refused' });
  }
  return true;
}

// `refuse=SCOPE`, as often as wanted, grants all but these.
async function granted(provider, details, { params, session, grantId }, fields) {
  const refused = new Set(fields.getAll('refuse'));
  const grant =
    (grantId && (await provider.Grant.find(grantId))) ||
    new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const split = (scopes, add, reject) => {
    const no = scopes.filter((scope) => refused.has(scope));
    const yes = scopes.filter((scope) => !refused.has(scope));
    if (yes.length) add(yes.join(' '));
    if (no.length) reject(no.join(' '));
  };
  split([...(details.missingOIDCScope ?? [])], (s) => grant.addOIDCScope(s), (s) => grant.rejectOIDCScope(s));
  if (details.missingOIDCClaims) grant.addOIDCClaims(details.missingOIDCClaims);
  for (const [uri, scopes] of Object.entries(details.missingResourceScopes ?? {})) {
    split([...scopes], (s) => grant.addResourceScope(uri, s), (s) => grant.rejectResourceScope(uri, s));
  }
  return grant.save();
}

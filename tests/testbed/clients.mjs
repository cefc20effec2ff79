// Who may ask the providers for tokens, and for what.

export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
export const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

export const users = {
  alice: { name: 'Alice Example', email: 'alice@example.test', groups: ['staff', 'planning'], department: 'research' },
  bob: { name: 'Bob Example', email: 'bob@example.test', groups: ['staff'], department: 'sales' },
  mallory: { name: 'Mallory Example', email: 'mallory@example.test', groups: ['guests'], department: 'none' },
};

// What access tokens are for: the first of each is meant where a request names none. The identity provider's are JWTs
// that the host verifies; the third party's are opaque.
export const resources = {
  idp: { 'https://attache.test/': 'agent.invoke', 'https://reports.test/': 'reports.read' },
  saas: { 'https://calendar.test/': 'calendar.read calendar.write', 'https://tasks.test/': 'tasks.read tasks.write' },
};
export const defaultResource = (mode) => Object.keys(resources[mode])[0];

const clicks = ['authorization_code', 'refresh_token'];
const every = [...clicks, 'client_credentials', DEVICE, EXCHANGE, JWT_BEARER];
const secret = 'attache-secret-attache-secret';

// The host's client for federation proves itself by the host's own JWT (trust.mjs), and nobody knows this.
export const federated = { client_id: 'attache-workload', client_secret: crypto.randomUUID() };

export const clients = {
  idp: [
    // The app that calls agents: a public client.
    { client_id: 'app', token_endpoint_auth_method: 'none', grant_types: clicks },
    { client_id: 'other-app', token_endpoint_auth_method: 'none', grant_types: clicks },
    // The host, as the relying party of its own pages.
    { client_id: 'attache-sign-in', client_secret: 'sign-in-secret-sign-in-secret', grant_types: clicks },
    // The host, exchanging what users brought.
    { client_id: 'attache', client_secret: secret, grant_types: every },
    { ...federated, token_endpoint_auth_method: 'client_secret_post', grant_types: every },
  ],
  saas: [
    // The host, as the client that agents' credentials come through.
    { client_id: 'attache', client_secret: secret, grant_types: every },
    { client_id: 'attache-post', client_secret: secret, token_endpoint_auth_method: 'client_secret_post', grant_types: every },
    { client_id: 'attache-public', token_endpoint_auth_method: 'none', grant_types: [...clicks, DEVICE] },
    // Its tokens are bound to a key, or there are none.
    { client_id: 'attache-dpop', client_secret: secret, dpop_bound_access_tokens: true, grant_types: every },
    // Nobody asks for its codes but by a pushed request.
    { client_id: 'attache-par', client_secret: secret, require_pushed_authorization_requests: true, grant_types: every },
    { ...federated, token_endpoint_auth_method: 'client_secret_post', grant_types: every },
  ],
};

// What a client that a test registers has unless it says otherwise.
export const registered = (client_id, wanted) => ({ client_id, grant_types: every, ...wanted });

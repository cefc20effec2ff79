// What a provider that lies can do to those who read its ID tokens and keys, by name. See lies.mjs; besides:
//
// `claims` `header`  of what is about to be signed    `signed`  the token that came of it
// `jwks`             the answer with the keys          `before`  nothing is signed yet
import { Keys } from './signing.mjs';
import { body, documentLies } from './lies.mjs';

const claims = (change) => ({ claims: (said) => void change(said) });
const header = (change) => ({ header: (said, at) => void change(said, at) });
const jwks = (change) => ({ jwks: body(change) });
const elsewhere = 'https://other.example';
const now = () => Math.floor(Date.now() / 1000);
const strangers = new Keys();
const refreshing = (change) => ({
  claims: (said, at) => {
    if (at.fields.get('grant_type') === 'refresh_token') change(said);
  },
});

export const lies = {
  // The ID token: what it says.
  'id-missing': { token: body((said) => delete said.id_token) },
  'id-other-issuer': claims((said) => (said.iss = elsewhere)),
  'id-issuer-slash': claims((said) => (said.iss += '/')),
  'id-no-issuer': claims((said) => delete said.iss),
  'id-no-subject': claims((said) => delete said.sub),
  'id-other-audience': claims((said) => (said.aud = 'somebody-else')),
  'id-no-audience': claims((said) => delete said.aud),
  'id-audience-in-a-list': claims((said) => (said.aud = [said.aud])),
  'id-second-audience': claims((said) => (said.aud = [said.aud, 'somebody-else'])),
  'id-second-audience-with-party': claims((said) => Object.assign(said, { azp: said.aud, aud: [said.aud, 'somebody-else'] })),
  'id-other-party': claims((said) => (said.azp = 'somebody-else')),
  'id-no-issued-at': claims((said) => delete said.iat),
  'id-issued-tomorrow': claims((said) => (said.iat = now() + 86400)),
  'id-expired': claims((said) => (said.exp = now() - 301)),
  'id-no-expiry': claims((said) => delete said.exp),
  'id-expiry-text': claims((said) => (said.exp = String(said.exp))),
  'id-other-nonce': claims((said) => (said.nonce = 'somebody-elses')),
  'id-no-nonce': claims((said) => delete said.nonce),

  // How it is signed.
  'id-es256': header((said, { keys }) => Object.assign(said, keys.header('ES256'))),
  'id-unsigned': header((said) => (said.alg = 'none')),
  'id-hmac': header((said, { keys }) => {
    said.alg = 'HS256';
    Object.defineProperty(said, 'secret', { value: JSON.stringify(keys.rsa.jwk) });
  }),
  'id-no-key-id': header((said) => delete said.kid),
  'id-strange-key': { signed: (_, { keys }) => _ && strangers.sign(keys.header(), JSON.parse(Buffer.from(_.split('.')[1], 'base64url'))) },
  'id-bad-signature': { signed: (token) => token.replace(/.{8}$/, 'AAAAAAAA') },
  'id-rotated-just-before': { before: (_, { keys }) => keys.rotate() },

  // Renewing a grant.
  'refresh-other-issuer': refreshing((said) => (said.iss = elsewhere)),
  'refresh-other-subject': refreshing((said) => (said.sub = 'mallory')),

  // The keys.
  'keys-one': jwks((said) => said.keys.splice(1)),
  'keys-two-alike': jwks((said) => said.keys.unshift({ ...strangers.rsa.jwk })),
  'keys-elsewhere': { document: body((said) => (said.jwks_uri = 'http://169.254.169.254/jwks')) },
  'keys-file': { document: body((said) => (said.jwks_uri = 'file:///etc/passwd')) },
  'keys-missing': { document: body((said) => delete said.jwks_uri) },
  'keys-none': jwks((said) => void (said.keys = [])),
  ...documentLies('keys', 'jwks'),
};

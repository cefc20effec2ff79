// Where the provider keeps what it knows: one map, which outlives the provider, so that rotating its keys keeps sessions
// and grants. An opaque token is its own id here, so this is also where the test bed learns which tokens exist.

const tokens = new Set(['AccessToken', 'ClientCredentials', 'RefreshToken']);
const rows = new Map();
const byGrant = new Map();
export const issued = []; // { kind, user, client, value } of every opaque token, for tests that look for leaks

export class Storage {
  constructor(kind) {
    this.kind = kind;
  }

  key(id) {
    return `${this.kind}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    const key = this.key(id);
    if (!rows.has(key) && tokens.has(this.kind)) {
      issued.push({ kind: this.kind, user: payload.accountId, client: payload.clientId, value: id });
    }
    rows.set(key, { payload, until: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
    if (payload.uid) rows.set(this.key(`uid:${payload.uid}`), { alias: id });
    if (payload.userCode) rows.set(this.key(`code:${payload.userCode}`), { alias: id });
    if (payload.grantId) {
      if (!byGrant.has(payload.grantId)) byGrant.set(payload.grantId, new Set());
      byGrant.get(payload.grantId).add(key);
    }
  }

  async find(id) {
    const row = rows.get(this.key(id));
    return row?.until > Date.now() ? row.payload : undefined;
  }

  async findByUid(uid) {
    const alias = rows.get(this.key(`uid:${uid}`));
    return alias && this.find(alias.alias);
  }

  async findByUserCode(code) {
    const alias = rows.get(this.key(`code:${code}`));
    return alias && this.find(alias.alias);
  }

  async consume(id) {
    const row = rows.get(this.key(id));
    if (row) row.payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    rows.delete(this.key(id));
  }

  async revokeByGrantId(grant) {
    for (const key of byGrant.get(grant) ?? []) rows.delete(key);
    byGrant.delete(grant);
  }
}

const chosen = ({ user, client }) => ({ payload }) =>
  payload && (!user || payload.accountId === user) && (!client || payload.clientId === client);

// Access tokens that are good until now are not any more; whoever holds one is told by the resource.
export function expire(whose) {
  const gone = [...rows].filter(([key, row]) => /^(AccessToken|ClientCredentials):/.test(key) && chosen(whose)(row));
  for (const [key] of gone) rows.delete(key);
  return gone.length;
}

// What a user allowed is taken back at the provider, without a word to whoever holds tokens.
export async function revoke(whose) {
  const grants = [...rows].filter(([key, row]) => key.startsWith('Grant:') && chosen(whose)(row));
  for (const [key] of grants) {
    await new Storage().revokeByGrantId(key.slice('Grant:'.length));
    rows.delete(key);
  }
  return grants.length;
}

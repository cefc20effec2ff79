//! The tables, one migration after the other. A migration that was released is never edited; a new one follows it.

use super::StoreError;
use super::columns::number;
use rusqlite::Connection;
use std::path::Path;

/// `Atta`, in the file's header: this SQLite file is ours.
const APPLICATION: i32 = 0x4174_7461;

/// Times are milliseconds since 1970. Ids are 16 bytes. Scopes are sorted and joined by single spaces.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE workload (
        name                TEXT NOT NULL PRIMARY KEY,
        id                  TEXT NOT NULL UNIQUE,
        origin              TEXT NOT NULL CHECK (origin IN ('runtime', 'gateway', 'manual')),
        publisher           TEXT NOT NULL,
        created_by          TEXT NOT NULL,
        created_at          INTEGER NOT NULL,
        updated_at          INTEGER NOT NULL,
        allowed_return_urls TEXT NOT NULL,
        state               TEXT NOT NULL CHECK (state IN ('active', 'suspended')),
        digest              TEXT,
        deployed_by         TEXT,
        deployed_at         INTEGER,
        CHECK ((digest IS NULL) = (deployed_by IS NULL) AND (digest IS NULL) = (deployed_at IS NULL))
    ) STRICT;

    CREATE TABLE vault_grant (
        id         BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
        workload   TEXT NOT NULL,
        issuer     TEXT NOT NULL,
        subject    TEXT NOT NULL,
        provider   TEXT NOT NULL,
        asked      TEXT NOT NULL,
        granted    TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        expires_at INTEGER,
        generation INTEGER NOT NULL,
        sealed     BLOB NOT NULL,
        UNIQUE (workload, issuer, subject, provider, asked)
    ) STRICT;

    CREATE TABLE vault_revocation (
        pending    BLOB NOT NULL PRIMARY KEY CHECK (length(pending) = 16),
        attempts   INTEGER NOT NULL,
        next_at    INTEGER NOT NULL,
        id         BLOB NOT NULL CHECK (length(id) = 16),
        workload   TEXT NOT NULL,
        issuer     TEXT NOT NULL,
        subject    TEXT NOT NULL,
        provider   TEXT NOT NULL,
        asked      TEXT NOT NULL,
        granted    TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        expires_at INTEGER,
        generation INTEGER NOT NULL,
        sealed     BLOB NOT NULL
    ) STRICT;

    CREATE TABLE consent_session (
        id              BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
        agent           TEXT NOT NULL,
        digest          TEXT NOT NULL,
        issuer          TEXT NOT NULL,
        subject         TEXT NOT NULL,
        session         TEXT NOT NULL,
        provider        TEXT NOT NULL,
        scopes          TEXT NOT NULL,
        return_url      TEXT,
        created_at      INTEGER NOT NULL,
        expires_at      INTEGER NOT NULL,
        stage           TEXT NOT NULL CHECK (stage IN
            ('started', 'at-provider', 'awaiting-completion', 'exchanging', 'completed', 'failed')),
        state_hash      BLOB UNIQUE CHECK (length(state_hash) = 32),
        sealed_verifier BLOB,
        sealed_code     BLOB
    ) STRICT;
    CREATE INDEX consent_session_expiry ON consent_session (expires_at);

    -- Written thousands of times a second and read by people: no index besides the row's own number.
    -- phase: 0 opened, 1 closed, 2 whole. decision: 0 allowed, 1 refused, 2 failed.
    CREATE TABLE audit (
        seq        INTEGER NOT NULL PRIMARY KEY,
        attempt    BLOB NOT NULL,
        phase      INTEGER NOT NULL,
        at         INTEGER NOT NULL,
        host       TEXT NOT NULL,
        agent      TEXT,
        digest     TEXT,
        issuer     TEXT,
        subject    TEXT,
        operator   TEXT,
        session    TEXT,
        invocation TEXT,
        action     TEXT NOT NULL,
        resource   TEXT NOT NULL,
        detail     TEXT,
        decision   INTEGER,
        reason     TEXT
    ) STRICT;
", "
    -- A session may be of a workload whose bytes this host has not seen. Those that are open live ten minutes at most, so
    -- they are given up rather than copied.
    DROP TABLE consent_session;
    CREATE TABLE consent_session (
        id              BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
        agent           TEXT NOT NULL,
        digest          TEXT,
        issuer          TEXT NOT NULL,
        subject         TEXT NOT NULL,
        session         TEXT NOT NULL,
        provider        TEXT NOT NULL,
        scopes          TEXT NOT NULL,
        return_url      TEXT,
        created_at      INTEGER NOT NULL,
        expires_at      INTEGER NOT NULL,
        stage           TEXT NOT NULL CHECK (stage IN
            ('started', 'at-provider', 'awaiting-completion', 'exchanging', 'completed', 'failed')),
        state_hash      BLOB UNIQUE CHECK (length(state_hash) = 32),
        sealed_verifier BLOB,
        sealed_code     BLOB
    ) STRICT;
    CREATE INDEX consent_session_expiry ON consent_session (expires_at);
", "
    -- Patterns of operations and workloads are joined by single spaces.
    CREATE TABLE access_key (
        id           TEXT NOT NULL PRIMARY KEY,
        name         TEXT NOT NULL,
        operations   TEXT NOT NULL,
        workloads    TEXT NOT NULL,
        created_at   INTEGER NOT NULL,
        created_by   TEXT NOT NULL,
        last_used_at INTEGER,
        disabled     INTEGER NOT NULL CHECK (disabled IN (0, 1)),
        sealed       BLOB NOT NULL
    ) STRICT;

    ALTER TABLE audit ADD COLUMN caller TEXT;
", "
    -- Names that differ in case alone would be one to people. An identity that is being deleted is there until nothing of
    -- its is left. Tags are a JSON object.
    CREATE TABLE workload_identity (
        name                TEXT NOT NULL PRIMARY KEY,
        id                  TEXT NOT NULL UNIQUE,
        origin              TEXT NOT NULL CHECK (origin IN ('runtime', 'gateway', 'manual')),
        publisher           TEXT NOT NULL,
        created_by          TEXT NOT NULL,
        created_at          INTEGER NOT NULL,
        updated_at          INTEGER NOT NULL,
        allowed_return_urls TEXT NOT NULL,
        tags                TEXT NOT NULL,
        state               TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'retired')),
        digest              TEXT,
        deployed_by         TEXT,
        deployed_at         INTEGER,
        CHECK ((digest IS NULL) = (deployed_by IS NULL) AND (digest IS NULL) = (deployed_at IS NULL))
    ) STRICT;
    INSERT INTO workload_identity
        SELECT name, id, origin, publisher, created_by, created_at, updated_at, allowed_return_urls, '{}', state, digest,
               deployed_by, deployed_at
        FROM workload;
    DROP TABLE workload;
    ALTER TABLE workload_identity RENAME TO workload;
    CREATE UNIQUE INDEX workload_alike ON workload (lower(name));

    -- Credential providers that were bound to a workload at run time.
    CREATE TABLE workload_provider (
        workload TEXT NOT NULL,
        provider TEXT NOT NULL,
        scopes   TEXT NOT NULL,
        PRIMARY KEY (workload, provider)
    ) STRICT;
", "
    -- Credential providers that were made while the host runs. Settings and tags are JSON.
    CREATE TABLE credential_provider (
        name       TEXT NOT NULL PRIMARY KEY,
        kind       TEXT NOT NULL CHECK (kind IN ('oauth2', 'api-key')),
        settings   TEXT NOT NULL,
        tags       TEXT NOT NULL,
        generation INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        sealed     BLOB NOT NULL
    ) STRICT;
", "
    -- A grant is for certain resources, and what is sealed may hold a key: rows of before do not open any more, and their
    -- users are asked again. Sessions that are open are given up.
    DROP TABLE vault_grant;
    DROP TABLE vault_revocation;
    DROP TABLE consent_session;

    CREATE TABLE vault_grant (
        id             BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
        workload       TEXT NOT NULL,
        issuer         TEXT NOT NULL,
        subject        TEXT NOT NULL,
        provider       TEXT NOT NULL,
        client         TEXT NOT NULL,
        asked          TEXT NOT NULL,
        resources      TEXT NOT NULL,
        granted        TEXT NOT NULL,
        created_at     INTEGER NOT NULL,
        updated_at     INTEGER NOT NULL,
        expires_at     INTEGER,
        generation     INTEGER NOT NULL,
        renewing_since INTEGER,
        sealed         BLOB NOT NULL,
        UNIQUE (workload, issuer, subject, provider, client, asked, resources)
    ) STRICT;

    CREATE TABLE vault_revocation (
        pending        BLOB NOT NULL PRIMARY KEY CHECK (length(pending) = 16),
        attempts       INTEGER NOT NULL,
        next_at        INTEGER NOT NULL,
        id             BLOB NOT NULL CHECK (length(id) = 16),
        workload       TEXT NOT NULL,
        issuer         TEXT NOT NULL,
        subject        TEXT NOT NULL,
        provider       TEXT NOT NULL,
        client         TEXT NOT NULL,
        asked          TEXT NOT NULL,
        resources      TEXT NOT NULL,
        granted        TEXT NOT NULL,
        created_at     INTEGER NOT NULL,
        updated_at     INTEGER NOT NULL,
        expires_at     INTEGER,
        generation     INTEGER NOT NULL,
        renewing_since INTEGER,
        sealed         BLOB NOT NULL
    ) STRICT;

    CREATE TABLE consent_session (
        id              BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
        agent           TEXT NOT NULL,
        digest          TEXT,
        issuer          TEXT NOT NULL,
        subject         TEXT NOT NULL,
        session         TEXT NOT NULL,
        provider        TEXT NOT NULL,
        scopes          TEXT NOT NULL,
        resources       TEXT NOT NULL,
        return_url      TEXT,
        created_at      INTEGER NOT NULL,
        expires_at      INTEGER NOT NULL,
        stage           TEXT NOT NULL CHECK (stage IN
            ('started', 'at-provider', 'awaiting-completion', 'exchanging', 'completed', 'failed')),
        state_hash      BLOB UNIQUE CHECK (length(state_hash) = 32),
        sealed_wishes   BLOB,
        sealed_verifier BLOB,
        sealed_code     BLOB
    ) STRICT;
    CREATE INDEX consent_session_expiry ON consent_session (expires_at);
", "
    -- Which client the host was at the provider, and where, when the question was asked.
    ALTER TABLE consent_session ADD COLUMN client TEXT NOT NULL DEFAULT '';
", "
    -- The last key set of each identity provider, sealed to the other columns.
    CREATE TABLE issuer_keys (
        issuer   TEXT NOT NULL,
        metadata TEXT NOT NULL,
        jwks_uri TEXT NOT NULL,
        read_at  INTEGER NOT NULL,
        sealed   BLOB NOT NULL,
        PRIMARY KEY (issuer, metadata)
    ) STRICT;
", "
    -- A grant is for the hosts of which its user was told. Rows of before say none and were sealed without, so they do not open:
    -- they go, and their users are asked again. So do questions that are open.
    DELETE FROM vault_grant;
    DELETE FROM vault_revocation;
    DELETE FROM consent_session;
    ALTER TABLE vault_grant ADD COLUMN destinations TEXT NOT NULL DEFAULT '';
    ALTER TABLE vault_revocation ADD COLUMN destinations TEXT NOT NULL DEFAULT '';
", "
    -- Where a version came from, what it could use a grant for, and those before it; bytes that may run nowhere.
    ALTER TABLE workload ADD COLUMN source TEXT;
    ALTER TABLE workload ADD COLUMN authority TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE workload ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1));
    CREATE TABLE workload_version (
        workload    TEXT NOT NULL,
        digest      TEXT NOT NULL,
        deployed_by TEXT NOT NULL,
        deployed_at INTEGER NOT NULL,
        source      TEXT,
        authority   TEXT NOT NULL,
        PRIMARY KEY (workload, digest)
    ) STRICT;
    INSERT INTO workload_version
        SELECT name, digest, deployed_by, deployed_at, source, authority FROM workload WHERE digest IS NOT NULL;
    CREATE TABLE killed_component (
        digest    TEXT NOT NULL PRIMARY KEY,
        killed_by TEXT NOT NULL,
        killed_at INTEGER NOT NULL,
        reason    TEXT NOT NULL
    ) STRICT;
    -- A grant is for what its user was told that the agent wants. Rows of before were sealed without, so they do not open:
    -- they go, and their users are asked again. So do questions that are open.
    DELETE FROM vault_grant;
    DELETE FROM vault_revocation;
    DELETE FROM consent_session;
    ALTER TABLE vault_grant ADD COLUMN authority TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE vault_revocation ADD COLUMN authority TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE consent_session ADD COLUMN authority TEXT NOT NULL DEFAULT '[]';
"];

/// Brings the file to the version that this program knows. Each step is a transaction of its own.
///
/// # Errors
/// [`StoreError::Newer`] for a file of a later program, [`StoreError::Foreign`] for a file that is not ours; neither is
/// touched.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    apply(connection, path, MIGRATIONS)
}

fn apply(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), StoreError> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let untouched = application == 0 && found == 0 && tables == 0;
    if application != APPLICATION && !untouched {
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    let known = number(migrations.len() as u64);
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    for (step, sql) in migrations.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", number(step as u64 + 1))?;
        transaction.commit()?;
    }
    Ok(())
}

/// Makes the transaction write a page without changing anything, to find out whether the disk takes it.
pub(super) fn touch(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", number(MIGRATIONS.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Connection {
        Connection::open(path).unwrap()
    }

    fn version(path: &Path) -> i64 {
        open(path).pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    }

    #[test]
    fn each_step_is_applied_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let one = "CREATE TABLE t (a INTEGER) STRICT; INSERT INTO t VALUES (1);";
        let two = "ALTER TABLE t ADD COLUMN b INTEGER; UPDATE t SET b = a + 1;";
        apply(&mut open(&path), &path, &[one]).unwrap();
        assert_eq!(version(&path), 1);
        apply(&mut open(&path), &path, &[one, two]).unwrap();
        apply(&mut open(&path), &path, &[one, two]).unwrap();
        assert_eq!(version(&path), 2);
        let row: (i64, i64) = open(&path).query_row("SELECT a, b FROM t", [], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
        assert_eq!(row, (1, 2));
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let steps = ["CREATE TABLE t (a INTEGER) STRICT;", "CREATE TABLE u (a INTEGER) STRICT; SELECT nonsense;"];
        assert!(apply(&mut open(&path), &path, &steps).is_err());
        assert_eq!(version(&path), 1);
        let tables: i64 = open(&path).query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)).unwrap();
        assert_eq!(tables, 1);
    }

    #[test]
    fn a_newer_file_is_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        migrate(&mut open(&path), &path).unwrap();
        open(&path).pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&mut open(&path), &path).unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, .. }));
        assert!(error.to_string().contains("version 99"), "{error}");
        assert_eq!(version(&path), 99);
    }

    #[test]
    fn a_file_of_another_program_is_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        open(&path).execute_batch("CREATE TABLE bookmarks (url TEXT)").unwrap();
        assert!(matches!(migrate(&mut open(&path), &path), Err(StoreError::Foreign { .. })));
        assert_eq!(version(&path), 0);
    }
}

//! The head of the trail, kept beside the database: an older database that is put back is noticed.
//!
//! A file holds the number and the hash of a record that was durable, sealed with the key ring. It is written at most once a
//! second and after the database, so a crash at any moment leaves a head that the database holds; what changed within that
//! second can be rolled back unnoticed. Whoever puts back the head and the key ring together with the database is not
//! noticed either: keep the head elsewhere (`head_file`).

use super::StartError;
use crate::seal::Sealer;
use crate::secret::Secret;
use crate::store::{Mark, Store};
use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

const KIND: &[u8] = b"head of the trail";
const EVERY: Duration = Duration::from_secs(1);

/// The file and what seals it.
pub(super) struct Head {
    path: PathBuf,
    sealer: Arc<Sealer>,
}

/// How the database stands to its head.
pub(super) enum Found {
    /// It holds what the head says, or both are new.
    Same,
    /// It does not, and the operator said that this is meant.
    Accepted(u64),
}

impl Head {
    pub(super) fn new(path: PathBuf, sealer: Arc<Sealer>) -> Self {
        Self { path, sealer }
    }

    /// Compares, before anything is written to the database.
    ///
    /// # Errors
    /// [`StartError::OlderDatabase`] and its kin; nothing was changed.
    pub(super) async fn check(&self, store: &Store, accepted: Option<u64>) -> Result<Found, StartError> {
        let newest = store.mark().await.map_err(StartError::Store)?;
        let Some(head) = self.read()? else {
            return match newest.seq {
                0 => Ok(Found::Same),
                _ if accepted == Some(0) => Ok(Found::Accepted(0)),
                _ => Err(StartError::NoHead { path: self.path.clone() }),
            };
        };
        if store.holds(head).await.map_err(StartError::Store)? {
            return Ok(Found::Same);
        }
        if accepted == Some(head.seq) {
            return Ok(Found::Accepted(head.seq));
        }
        Err(StartError::OlderDatabase { expected: head.seq, found: newest.seq })
    }

    /// Writes down what the database holds by now. Durable when it returns.
    pub(super) async fn write(&self, store: &Store) -> Result<Mark, StartError> {
        let mark = store.mark().await.map_err(StartError::Store)?;
        self.put(mark).map_err(|source| StartError::Head { path: self.path.clone(), source })?;
        Ok(mark)
    }

    /// Goes on writing it until the store is gone.
    pub(super) async fn keep(self: Arc<Self>, store: Weak<Store>, mut written: Mark) {
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tick.tick().await;
            let Some(store) = store.upgrade() else { return };
            let Ok(mark) = store.mark().await else { continue };
            if mark == written {
                continue;
            }
            let this = self.clone();
            let put = tokio::task::spawn_blocking(move || this.put(mark)).await;
            match put {
                Ok(Ok(())) => written = mark,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the head of the trail cannot be written; an older database would not be noticed")
                }
                Err(_) => return,
            }
        }
    }

    fn read(&self) -> Result<Option<Mark>, StartError> {
        let sealed = match std::fs::read(&self.path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StartError::Head { path: self.path.clone(), source }),
        };
        let broken = || StartError::BrokenHead { path: self.path.clone() };
        let plain = self.sealer.open(&[KIND], &sealed).map_err(|_| broken())?;
        let (seq, hash) = plain.expose().split_first_chunk::<8>().ok_or_else(broken)?;
        let hash = hash.try_into().map_err(|_| broken())?;
        Ok(Some(Mark { seq: u64::from_be_bytes(*seq), hash }))
    }

    fn put(&self, mark: Mark) -> io::Result<()> {
        let plain = Secret::new([mark.seq.to_be_bytes().as_slice(), &mark.hash].concat());
        let sealed = self.sealer.seal(&[KIND], &plain).map_err(io::Error::other)?;
        let draft = self.path.with_extension("draft");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&sealed)?;
        file.sync_all()?;
        rename(&draft, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Action, Actor, Outcome, Trail};
    use crate::clock::Clock;
    use crate::seal::KeyRing;

    struct Bed {
        folder: tempfile::TempDir,
        sealer: Arc<Sealer>,
    }

    impl Bed {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let ring = Arc::new(KeyRing::open_or_create(&folder.path().join("keyring.toml")).unwrap());
            Self { folder, sealer: Arc::new(Sealer::new(ring)) }
        }

        fn head(&self) -> Head {
            Head::new(self.folder.path().join("head"), self.sealer.clone())
        }

        fn store(&self) -> Arc<Store> {
            Store::open(&self.folder.path().join("a.db")).unwrap()
        }

        fn copy(&self, to: &str, from: &str) {
            for end in ["", "-wal", "-shm"] {
                let _stale = std::fs::remove_file(self.folder.path().join(format!("{to}{end}")));
                let _there = std::fs::copy(
                    self.folder.path().join(format!("{from}{end}")),
                    self.folder.path().join(format!("{to}{end}")),
                );
            }
        }
    }

    async fn record(store: &Arc<Store>, what: &str) {
        let host = "attache.test".parse::<crate::ids::TrustDomain>().unwrap().host("x");
        let trail = Trail::new(store.clone(), host, Clock::system());
        let ticket = trail.note(Actor::default(), Action::new("test", what), Outcome::allowed()).unwrap();
        trail.journal().durable(ticket).await.unwrap();
    }

    #[tokio::test]
    async fn an_older_database_that_is_put_back_is_noticed_and_accepted_once_where_it_is_meant() {
        let bed = Bed::new();
        let head = bed.head();
        let store = bed.store();
        assert!(matches!(head.check(&store, None).await, Ok(Found::Same)), "both are new");
        head.write(&store).await.unwrap();
        record(&store, "one").await;
        drop(store);
        bed.copy("old.db", "a.db");
        let store = bed.store();
        assert!(matches!(head.check(&store, None).await, Ok(Found::Same)), "it went on from its head");
        record(&store, "two").await;
        head.write(&store).await.unwrap();
        drop(store);
        assert!(matches!(head.check(&bed.store(), None).await, Ok(Found::Same)));

        bed.copy("a.db", "old.db");
        let store = bed.store();
        for wrong in [None, Some(0), Some(1), Some(3)] {
            let refused = head.check(&store, wrong).await;
            assert!(matches!(refused, Err(StartError::OlderDatabase { expected: 2, found: 1 })), "{wrong:?}");
        }
        assert!(matches!(head.check(&store, Some(2)).await, Ok(Found::Accepted(2))));
        // Another history of the same length is another database.
        record(&store, "not two").await;
        assert!(matches!(head.check(&store, None).await, Err(StartError::OlderDatabase { expected: 2, found: 2 })));
        head.write(&store).await.unwrap();
        assert!(matches!(head.check(&store, None).await, Ok(Found::Same)), "it is the one from here on");
    }

    #[tokio::test]
    async fn a_head_that_is_missing_or_changed_is_not_made_up() {
        let bed = Bed::new();
        let (head, store) = (bed.head(), bed.store());
        record(&store, "one").await;
        assert!(matches!(head.check(&store, None).await, Err(StartError::NoHead { .. })));
        assert!(matches!(head.check(&store, Some(0)).await, Ok(Found::Accepted(0))));
        head.write(&store).await.unwrap();
        let path = bed.folder.path().join("head");
        let mut sealed = std::fs::read(&path).unwrap();
        for at in 0..sealed.len() {
            sealed[at] ^= 1;
            std::fs::write(&path, &sealed).unwrap();
            assert!(matches!(head.check(&store, None).await, Err(StartError::BrokenHead { .. })), "byte {at}");
            sealed[at] ^= 1;
        }
        let other = Bed::new();
        std::fs::write(&path, std::fs::read(&path).map(|_| sealed).unwrap()).unwrap();
        let strange = Head::new(path, other.sealer.clone());
        assert!(matches!(strange.check(&store, None).await, Err(StartError::BrokenHead { .. })));
    }
}

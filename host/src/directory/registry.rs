//! The registry itself: every entry in memory, every change durable before it shows.

use super::{Entries, Origin, RegisteredAgent, State, Terms, Unavailable, Unresolved, Version, WorkloadIdentity};
use crate::clock::{Clock, Timestamp};
use crate::ids::{AgentName, Digest, TrustDomain};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// More allowed return URLs than any app has.
const MOST_RETURN_URLS: usize = 32;

/// Which agents exist. One per host; shared by [`Arc`].
///
/// [`Directory::resolve`] runs for every invocation: a read lock, a lookup, a reference counted. Changes are rare,
/// happen one after the other, and run to their end even when whoever asked for them goes away: otherwise the store
/// could know a change that memory does not.
pub struct Directory {
    inner: Arc<Inner>,
}

struct Inner {
    entries: Arc<dyn Entries>,
    trust_domain: TrustDomain,
    terms: HashMap<AgentName, Arc<Terms>>,
    no_terms: Arc<Terms>,
    clock: Clock,
    slots: RwLock<HashMap<AgentName, Slot>>,
    /// Held over the write to the store, so that of two changes of one entry the second sees the first.
    changing: tokio::sync::Mutex<()>,
}

/// An entry, and what resolving it gives until it changes.
#[derive(Clone)]
struct Slot {
    entry: Arc<WorkloadIdentity>,
    resolved: Result<Arc<RegisteredAgent>, Unresolved>,
}

/// A component that is deployed under a name.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The name.
    pub name: AgentName,
    /// Digest of the bytes.
    pub digest: Digest,
    /// Who published it. 1 to 128 bytes of visible text.
    pub publisher: String,
    /// The operator account that deploys it.
    pub by: String,
    /// Where a browser may be sent after a consent; none keeps what the entry has.
    pub allowed_return_urls: Option<Vec<String>>,
}

/// A workload identity that is made by hand.
#[derive(Clone, Debug)]
pub struct NewWorkload {
    /// The name.
    pub name: AgentName,
    /// Who publishes it. 1 to 128 bytes of visible text.
    pub publisher: String,
    /// The operator account that makes it.
    pub by: String,
    /// Where a browser may be sent after a consent.
    pub allowed_return_urls: Vec<String>,
}

impl Directory {
    /// Reads every entry. `terms` is what the operator's configuration lets each agent do; an agent without any may do
    /// nothing.
    ///
    /// # Errors
    /// [`Unavailable`] when the store cannot be read: a host does not start with half a directory.
    pub async fn load(
        entries: Arc<dyn Entries>,
        trust_domain: TrustDomain,
        terms: HashMap<AgentName, Arc<Terms>>,
        clock: Clock,
    ) -> Result<Arc<Self>, Unavailable> {
        let inner = Inner {
            trust_domain,
            terms,
            no_terms: Arc::new(Terms::default()),
            clock,
            slots: RwLock::default(),
            changing: tokio::sync::Mutex::new(()),
            entries,
        };
        for entry in inner.entries.all().await? {
            inner.show(Arc::new(entry));
        }
        Ok(Arc::new(Self { inner: Arc::new(inner) }))
    }

    /// The agent of this name, if it may be invoked now. What it returns does not change by later deployments.
    ///
    /// # Errors
    /// [`Unresolved`] says why it may not.
    pub fn resolve(&self, name: &AgentName) -> Result<Arc<RegisteredAgent>, Unresolved> {
        match self.inner.slots.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            Some(slot) => slot.resolved.clone(),
            None => Err(Unresolved::NotRegistered(name.clone())),
        }
    }

    /// The entry of this name, whether or not it may be invoked.
    pub fn entry(&self, name: &AgentName) -> Option<Arc<WorkloadIdentity>> {
        self.inner.entry(name)
    }

    /// All entries, in the order of their names.
    pub fn list(&self) -> Vec<Arc<WorkloadIdentity>> {
        let slots = self.inner.slots.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = slots.values().map(|slot| slot.entry.clone()).collect();
        drop(slots);
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// What the configuration lets this agent do; nothing where it says nothing.
    pub fn terms(&self, name: &AgentName) -> Arc<Terms> {
        self.inner.terms_of(name)
    }

    /// Makes the identity (origin `runtime`), or gives it a new version. A suspended agent stays suspended.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn deploy(&self, deployment: Deployment) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        let Deployment { name, digest, publisher, by, allowed_return_urls } = deployment;
        let publisher = visible("the publisher", publisher)?;
        let by = visible("the operator account", by)?;
        let allowed_return_urls = allowed_return_urls.map(return_urls).transpose()?;
        self.change(move |inner, now| {
            let mut entry = match inner.entry(&name) {
                Some(entry) if entry.publisher != publisher => {
                    return Err(ChangeError::OtherPublisher { name, publisher: entry.publisher.clone() });
                }
                Some(entry) => WorkloadIdentity::clone(&entry),
                None => inner.new_entry(&name, Origin::Runtime, publisher, by.clone(), now),
            };
            entry.version = Some(Version { digest, deployed_by: by, deployed_at: now });
            if let Some(urls) = allowed_return_urls {
                entry.allowed_return_urls = urls;
            }
            Ok(entry)
        })
        .await
    }

    /// Makes an identity by hand (origin `manual`), with nothing deployed.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn create(&self, new: NewWorkload) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        let NewWorkload { name, publisher, by, allowed_return_urls } = new;
        let publisher = visible("the publisher", publisher)?;
        let by = visible("the operator account", by)?;
        let allowed_return_urls = return_urls(allowed_return_urls)?;
        self.change(move |inner, now| {
            if inner.entry(&name).is_some() {
                return Err(ChangeError::AlreadyRegistered(name));
            }
            Ok(WorkloadIdentity { allowed_return_urls, ..inner.new_entry(&name, Origin::Manual, publisher, by, now) })
        })
        .await
    }

    /// Suspends or resumes it. From its return on, [`Directory::resolve`] answers accordingly.
    ///
    /// # Errors
    /// [`ChangeError`]; then nothing changed.
    pub async fn set_state(&self, name: &AgentName, state: State) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        let name = name.clone();
        self.change(move |inner, _| match inner.entry(&name) {
            Some(entry) => Ok(WorkloadIdentity { state, ..WorkloadIdentity::clone(&entry) }),
            None => Err(ChangeError::NotRegistered(name)),
        })
        .await
    }

    /// Works the new entry out, makes it durable, shows it; alone, and to its end.
    async fn change(
        &self,
        work_out: impl FnOnce(&Inner, Timestamp) -> Result<WorkloadIdentity, ChangeError> + Send + 'static,
    ) -> Result<Arc<WorkloadIdentity>, ChangeError> {
        let inner = self.inner.clone();
        let task = tokio::spawn(async move {
            let _alone = inner.changing.lock().await;
            let now = inner.clock.now();
            let entry = WorkloadIdentity { updated_at: now, ..work_out(&inner, now)? };
            inner.entries.put(entry.clone()).await.map_err(ChangeError::Store)?;
            let entry = Arc::new(entry);
            inner.show(entry.clone());
            Ok(entry)
        });
        task.await.unwrap_or_else(|_| Err(ChangeError::Store(Unavailable("the host is stopping".into()))))
    }
}

impl Inner {
    fn entry(&self, name: &AgentName) -> Option<Arc<WorkloadIdentity>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(name).map(|slot| slot.entry.clone())
    }

    fn terms_of(&self, name: &AgentName) -> Arc<Terms> {
        self.terms.get(name).unwrap_or(&self.no_terms).clone()
    }

    fn new_entry(
        &self,
        name: &AgentName,
        origin: Origin,
        publisher: String,
        by: String,
        now: Timestamp,
    ) -> WorkloadIdentity {
        WorkloadIdentity {
            name: name.clone(),
            id: self.trust_domain.agent(name),
            origin,
            publisher,
            created_by: by,
            created_at: now,
            updated_at: now,
            allowed_return_urls: Vec::new(),
            state: State::Active,
            version: None,
        }
    }

    fn show(&self, entry: Arc<WorkloadIdentity>) {
        let resolved = RegisteredAgent::check(entry.clone(), self.terms_of(&entry.name)).map(Arc::new);
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.insert(entry.name.clone(), Slot { entry, resolved });
    }
}

/// Text that is shown to people who decide by it: it must look like what it is.
fn visible(what: &'static str, text: String) -> Result<String, ChangeError> {
    let misleads = |c: char| {
        c.is_control()
            || (c.is_whitespace() && c != ' ')
            || matches!(c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    if !(1..=128).contains(&text.len()) || text.trim().len() != text.len() || text.chars().any(misleads) {
        return Err(ChangeError::NotVisible { what });
    }
    Ok(text)
}

/// Checks every URL and keeps each once.
fn return_urls(urls: Vec<String>) -> Result<Vec<String>, ChangeError> {
    if urls.len() > MOST_RETURN_URLS {
        return Err(ChangeError::TooManyReturnUrls);
    }
    let mut kept = Vec::with_capacity(urls.len());
    for url in urls {
        if let Err(why) = return_url(&url) {
            return Err(ChangeError::ReturnUrl {
                url: url.chars().take(256).collect::<String>().escape_debug().to_string(),
                why,
            });
        }
        if !kept.contains(&url) {
            kept.push(url);
        }
    }
    Ok(kept)
}

/// As text first: a URL parser forgives tabs, backslashes and missing slashes, and browsers forgive differently.
fn return_url(text: &str) -> Result<(), &'static str> {
    if text.len() > 2048 {
        return Err("it must be at most 2048 bytes");
    }
    if !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'`')) {
        return Err("write it in ASCII, percent-encoded, without spaces or backslashes");
    }
    let url = url::Url::parse(text).map_err(|_| "it must be an absolute URL")?;
    if !text.starts_with(&format!("{}://", url.scheme())) {
        return Err("it must begin with `https://`");
    }
    if text.contains('#') {
        return Err("it must have no fragment");
    }
    // In the text: the parser drops an empty user.
    let authority = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    if authority.contains('@') {
        return Err("it must name no user");
    }
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => Err("it must begin with `https://`, or with `http://` for a loopback address"),
    }
}

/// Why the directory was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The name belongs to its first publisher.
    #[error("agent `{name}` belongs to publisher `{publisher}`; deploy under another name")]
    OtherPublisher {
        /// The name.
        name: AgentName,
        /// Whose it is.
        publisher: String,
    },
    /// The name is taken.
    #[error("agent `{0}` exists already; choose another name")]
    AlreadyRegistered(AgentName),
    /// There is no such entry.
    #[error("agent `{0}` is not registered; run `attache agents` to see which are")]
    NotRegistered(AgentName),
    /// A browser is not sent there.
    #[error("`{url}` cannot be a return URL: {why}")]
    ReturnUrl {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// More than 32.
    #[error("an agent has at most {MOST_RETURN_URLS} return URLs; remove some")]
    TooManyReturnUrls,
    /// Text for people with something in it that people cannot see.
    #[error("{what} must be 1 to 128 bytes of visible text, without control, invisible or direction characters")]
    NotVisible {
        /// Which text.
        what: &'static str,
    },
    /// The store could not be written.
    #[error("the change could not be stored; try again")]
    Store(#[source] Unavailable),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ProviderName, Scopes};
    use futures_util::future::BoxFuture;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Entries in memory, with a switch for a store that is down: the real one cannot be told to fail at will from here.
    #[derive(Default)]
    struct Memory {
        rows: Mutex<HashMap<AgentName, WorkloadIdentity>>,
        down: AtomicBool,
    }

    impl Entries for Memory {
        fn all(&self) -> BoxFuture<'_, Result<Vec<WorkloadIdentity>, Unavailable>> {
            Box::pin(async { Ok(self.rows.lock().unwrap().values().cloned().collect()) })
        }
        fn put(&self, entry: WorkloadIdentity) -> BoxFuture<'_, Result<(), Unavailable>> {
            Box::pin(async move {
                tokio::task::yield_now().await;
                if self.down.load(Ordering::Relaxed) {
                    return Err(Unavailable("the disk is full".into()));
                }
                self.rows.lock().unwrap().insert(entry.name.clone(), entry);
                Ok(())
            })
        }
    }

    struct Bed {
        store: Arc<Memory>,
        clock: Clock,
        directory: Arc<Directory>,
    }

    async fn bed() -> Bed {
        let store = Arc::new(Memory::default());
        let clock = Clock::held(Timestamp::from_secs(1_000));
        let directory = reload(&store, &clock).await;
        Bed { store, clock, directory }
    }

    async fn reload(store: &Arc<Memory>, clock: &Clock) -> Arc<Directory> {
        let terms = Terms {
            providers: vec![super::super::BoundProvider {
                provider: ProviderName::parse("google-calendar").unwrap(),
                scopes: Scopes::default(),
            }],
            ..Terms::default()
        };
        let terms = HashMap::from([(name("calendar"), Arc::new(terms))]);
        Directory::load(store.clone(), TrustDomain::parse("example.org").unwrap(), terms, clock.clone()).await.unwrap()
    }

    fn name(text: &str) -> AgentName {
        AgentName::parse(text).unwrap()
    }

    fn deployment(text: &str, bytes: &[u8]) -> Deployment {
        Deployment {
            name: name(text),
            digest: Digest::of(bytes),
            publisher: "Example Ltd".into(),
            by: "olga".into(),
            allowed_return_urls: None,
        }
    }

    #[tokio::test]
    async fn deploying_makes_the_identity_by_itself() {
        let bed = bed().await;
        assert!(matches!(bed.directory.resolve(&name("calendar")), Err(Unresolved::NotRegistered(_))));
        let entry = bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
        assert_eq!(entry.id.as_str(), "spiffe://example.org/agent/calendar");
        assert_eq!((entry.origin, entry.created_by.as_str()), (Origin::Runtime, "olga"));
        assert_eq!((entry.created_at, entry.updated_at), (Timestamp::from_secs(1_000), Timestamp::from_secs(1_000)));
        let agent = bed.directory.resolve(&name("calendar")).unwrap();
        assert_eq!(agent.digest(), Some(Digest::of(b"one")));
        assert!(agent.terms().provider(&ProviderName::parse("google-calendar").unwrap()).is_some());
        assert!(Arc::ptr_eq(&agent, &bed.directory.resolve(&name("calendar")).unwrap()), "resolving allocates");
    }

    #[tokio::test]
    async fn a_new_version_leaves_running_invocations_alone() {
        let bed = bed().await;
        bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
        let before = bed.directory.resolve(&name("calendar")).unwrap();
        bed.clock.advance(std::time::Duration::from_secs(5));
        let entry = bed.directory.deploy(deployment("calendar", b"two")).await.unwrap();
        assert_eq!(entry.created_at, Timestamp::from_secs(1_000));
        assert_eq!(entry.updated_at, Timestamp::from_secs(1_005));
        assert_eq!(before.digest(), Some(Digest::of(b"one")));
        assert_eq!(bed.directory.resolve(&name("calendar")).unwrap().digest(), Some(Digest::of(b"two")));
    }

    #[tokio::test]
    async fn a_name_belongs_to_its_first_publisher() {
        let bed = bed().await;
        bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
        let other = Deployment { publisher: "Rogue Inc".into(), ..deployment("calendar", b"two") };
        let error = bed.directory.deploy(other).await.unwrap_err();
        assert_eq!(error.to_string(), "agent `calendar` belongs to publisher `Example Ltd`; deploy under another name");
        assert_eq!(bed.directory.resolve(&name("calendar")).unwrap().digest(), Some(Digest::of(b"one")));
    }

    #[tokio::test]
    async fn what_is_not_durable_does_not_show() {
        let bed = bed().await;
        bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
        bed.store.down.store(true, Ordering::Relaxed);
        assert!(matches!(bed.directory.deploy(deployment("calendar", b"two")).await, Err(ChangeError::Store(_))));
        assert!(matches!(bed.directory.deploy(deployment("other", b"two")).await, Err(ChangeError::Store(_))));
        assert!(matches!(
            bed.directory.set_state(&name("calendar"), State::Suspended).await,
            Err(ChangeError::Store(_))
        ));
        assert_eq!(bed.directory.resolve(&name("calendar")).unwrap().digest(), Some(Digest::of(b"one")));
        assert_eq!(bed.directory.list().len(), 1);
    }

    #[tokio::test]
    async fn a_change_whose_caller_went_away_still_shows() {
        let bed = bed().await;
        let mut change = Box::pin(bed.directory.deploy(deployment("calendar", b"one")));
        assert!(futures_util::poll!(&mut change).is_pending());
        drop(change);
        // Changes run one after the other: once the second is through, so is the first.
        bed.directory.deploy(deployment("second", b"two")).await.unwrap();
        assert_eq!(bed.directory.resolve(&name("calendar")).unwrap().digest(), Some(Digest::of(b"one")));
    }

    #[tokio::test]
    async fn suspended_agents_stay_suspended_through_a_deployment_and_a_restart() {
        let bed = bed().await;
        bed.directory.deploy(deployment("calendar", b"one")).await.unwrap();
        bed.directory.set_state(&name("calendar"), State::Suspended).await.unwrap();
        bed.directory.deploy(deployment("calendar", b"two")).await.unwrap();
        assert!(matches!(bed.directory.resolve(&name("calendar")), Err(Unresolved::Suspended(_))));
        let again = reload(&bed.store, &bed.clock).await;
        assert!(matches!(again.resolve(&name("calendar")), Err(Unresolved::Suspended(_))));
        again.set_state(&name("calendar"), State::Active).await.unwrap();
        assert_eq!(again.resolve(&name("calendar")).unwrap().digest(), Some(Digest::of(b"two")));
        assert!(matches!(again.set_state(&name("nobody"), State::Active).await, Err(ChangeError::NotRegistered(_))));
    }

    #[tokio::test]
    async fn an_identity_made_by_hand_has_nothing_to_run() {
        let bed = bed().await;
        let new = NewWorkload {
            name: name("batch"),
            publisher: "Example Ltd".into(),
            by: "olga".into(),
            allowed_return_urls: vec!["https://app.example/done".into(), "https://app.example/done".into()],
        };
        let entry = bed.directory.create(new.clone()).await.unwrap();
        assert_eq!((entry.origin, entry.allowed_return_urls.len()), (Origin::Manual, 1));
        assert!(matches!(bed.directory.resolve(&name("batch")), Err(Unresolved::NothingDeployed(_))));
        assert!(matches!(bed.directory.create(new).await, Err(ChangeError::AlreadyRegistered(_))));
        let entry = bed.directory.deploy(deployment("batch", b"one")).await.unwrap();
        assert_eq!((entry.origin, entry.allowed_return_urls.len()), (Origin::Manual, 1));
        assert!(bed.directory.resolve(&name("batch")).is_ok());
        assert!(bed.directory.resolve(&name("batch")).unwrap().terms().providers.is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_many_changes_at_once_none_is_lost() {
        let bed = bed().await;
        let all = (0..40).map(|i| {
            let directory = bed.directory.clone();
            tokio::spawn(async move {
                directory.deploy(deployment(&format!("agent-{}", i % 20), format!("{i}").as_bytes())).await.unwrap();
            })
        });
        for task in all.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let names: Vec<_> = bed.directory.list().iter().map(|entry| entry.name.to_string()).collect();
        assert_eq!(names.len(), 20);
        assert!(names.is_sorted());
        for entry in bed.directory.list() {
            assert_eq!(bed.store.rows.lock().unwrap()[&entry.name], *entry);
        }
    }

    #[test]
    fn return_urls_are_exact_and_safe() {
        for good in [
            "https://app.example/done",
            "https://app.example:8443/done?tab=1",
            "http://127.0.0.1:3000/cb",
            "http://localhost/cb",
            "http://[::1]:3000/cb",
        ] {
            assert_eq!(return_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "/done",
            "//app.example/done",
            "http://app.example/done",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "https:app.example/done",
            "https:/app.example/done",
            "HTTPS://app.example/done",
            "https://app.example/done#",
            "https://app.example/done#x",
            "https://user@app.example/done",
            "https://:pw@app.example/done",
            "https://@app.example/done",
            "https://app.example\\@evil.example/",
            "https://app.example/a b",
            "https://app.example/\nx",
            "https://äpp.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "myapp://done",
        ] {
            assert!(return_url(bad).is_err(), "{bad:?}");
        }
        assert!(return_url(&format!("https://app.example/{}", "a".repeat(2048))).is_err());
    }

    #[test]
    fn a_publisher_looks_like_what_it_is() {
        let publisher = |text: &str| visible("the publisher", text.to_owned()).is_ok();
        for good in ["Example Ltd", "Müller & Söhne", "株式会社", &"a".repeat(128)] {
            assert!(publisher(good), "{good:?}");
        }
        for bad in [
            "",
            " ",
            " Example",
            "Example\n",
            "Ex\u{202e}elpma",
            "Goo\u{200b}gle",
            "a\u{a0}b",
            "\u{2066}x",
            &"a".repeat(129),
        ] {
            assert!(!publisher(bad), "{bad:?}");
        }
    }
}

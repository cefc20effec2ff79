//! A real host: the binary `attache`, started with a configuration as an operator would write it.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A loopback port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The binary under test: `ATTACHE_BIN`, or the one that was built beside this program.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("ATTACHE_BIN") {
        return Ok(path.into());
    }
    let mut dir = std::env::current_exe()?;
    while dir.pop() {
        let candidate = dir.join("attache");
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    bail!("the binary `attache` is not built; run `cargo build -p attache`, or the whole of `cargo xtask test`")
}

/// Whether hosts are to run guests in worker processes: `ATTACHE_ISOLATION=process`. The same tests hold in both modes.
pub fn behind_the_wall() -> bool {
    std::env::var_os("ATTACHE_ISOLATION").is_some_and(|mode| mode == "process")
}

/// A built example or probe component: from `ATTACHE_GUESTS`, or where `cargo xtask guests` builds them.
pub fn component(name: &str) -> Result<PathBuf> {
    let dir = match std::env::var_os("ATTACHE_GUESTS") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/wasm32-wasip2/guest"),
    };
    let path = dir.join(format!("{}.wasm", name.replace('-', "_")));
    ensure!(path.is_file(), "`{}` is not built; run `cargo xtask guests`", path.display());
    Ok(path)
}

/// One third party in a host's configuration.
pub struct ProviderSpec {
    /// The operator's name for it.
    pub name: String,
    /// Its issuer.
    pub issuer: String,
    /// The client that the third party registered for this host.
    pub client_id: String,
    /// That client's secret.
    pub client_secret: String,
    /// Scopes that agents may use.
    pub scopes: Vec<String>,
    /// Where its credential may go.
    pub hosts: Vec<String>,
    /// RFC 8707 resource, where the third party wants one.
    pub resource: Option<String>,
}

/// One agent in a host's configuration.
pub struct AgentSpec {
    /// Its name.
    pub name: String,
    /// Which providers, each with its scopes.
    pub providers: Vec<(String, Vec<String>)>,
    /// Claims that it may read.
    pub claims: Vec<String>,
    /// Where it may go without a credential.
    pub egress: Vec<String>,
    /// Where a browser may go after a consent.
    pub return_urls: Vec<String>,
    /// Whether it may see credentials as bytes.
    pub reveal: bool,
}

/// What a host is started with.
pub struct Spec {
    /// Its port, chosen before the identity providers start, which must know the redirect URIs.
    pub port: u16,
    /// The users' identity provider.
    pub idp: String,
    /// More lines of its table, such as `algorithms`.
    pub idp_lines: String,
    /// The audience that users' tokens must have.
    pub audience: String,
    /// The host's own client at the identity provider: id and secret.
    pub sign_in: (String, String),
    /// Third parties.
    pub providers: Vec<ProviderSpec>,
    /// Agents.
    pub agents: Vec<AgentSpec>,
    /// The program, where it is not [`binary`].
    pub program: Option<PathBuf>,
    /// More lines for the file, such as an `[engine]` table.
    pub extra: String,
    /// `extra` says itself how guests are kept apart, whatever `ATTACHE_ISOLATION` says.
    pub own_isolation: bool,
    /// Providers that stand in `extra`, for the third parties to know where their browsers come back to.
    pub more_providers: Vec<String>,
    /// Files beside the configuration that only their owner can read: name and content.
    pub files: Vec<(String, String)>,
}

impl Spec {
    fn toml(&self) -> String {
        let list =
            |items: &[String]| format!("[{}]", items.iter().map(|i| format!("{i:?}")).collect::<Vec<_>>().join(", "));
        let mut text = format!(
            "[host]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\"\ndata_dir = \"data\"\n\
             trust_domain = \"attache.test\"\n\n[development]\nallow_loopback = true\n\n\
             [issuers.idp]\nissuer = {idp:?}\n{idp_lines}\n\
             [sign_in]\nissuer = {idp:?}\nclient_id = {id:?}\nclient_secret = {{ file = \"sign-in.secret\" }}\n\n\
             [authorizers.default]\n[[authorizers.default.rules]]\nissuer = \"idp\"\naudiences = [{aud:?}]\n",
            port = self.port,
            idp = self.idp,
            idp_lines = self.idp_lines,
            id = self.sign_in.0,
            aud = self.audience,
        );
        for p in &self.providers {
            let _ = write!(
                text,
                "\n[providers.{name}]\ndisplay_name = {name:?}\nissuer = {issuer:?}\nclient_id = {id:?}\n\
                 client_secret = {{ file = \"{name}.secret\" }}\nscopes = {scopes}\nhosts = {hosts}\n\
                 offline_scope = \"offline_access\"\nauthorize_parameters = {{ prompt = \"consent\" }}\n",
                name = p.name,
                issuer = p.issuer,
                id = p.client_id,
                scopes = list(&p.scopes),
                hosts = list(&p.hosts),
            );
            if let Some(resource) = &p.resource {
                let _ = writeln!(text, "resource = [{resource:?}]");
            }
        }
        for a in &self.agents {
            let providers: Vec<String> =
                a.providers.iter().map(|(n, s)| format!("{{ name = {n:?}, scopes = {} }}", list(s))).collect();
            let _ = write!(
                text,
                "\n[agents.{}]\nauthorizer = \"default\"\nproviders = [{}]\nclaims = {}\negress = {}\n\
                 allowed_return_urls = {}\nreveal = {}\n",
                a.name,
                providers.join(", "),
                list(&a.claims),
                list(&a.egress),
                list(&a.return_urls),
                a.reveal,
            );
        }
        text.push_str(&self.extra);
        if behind_the_wall() && !self.own_isolation {
            match text.find("[engine]\n") {
                Some(at) => text.insert_str(at + "[engine]\n".len(), "isolation = \"process\"\n"),
                None => text.push_str("\n[engine]\nisolation = \"process\"\n"),
            }
        }
        text
    }
}

/// A running host. Stopped, and its folder removed, when dropped.
pub struct Host {
    /// Where it serves.
    pub url: String,
    dir: tempfile::TempDir,
    program: PathBuf,
    child: Option<Child>,
    starts: u32,
}

impl Host {
    /// Writes the configuration and the secrets, and starts the binary.
    pub fn start(spec: &Spec) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::write(dir.path().join("attache.toml"), spec.toml())?;
        write_secret(&dir.path().join("sign-in.secret"), &spec.sign_in.1)?;
        for p in &spec.providers {
            write_secret(&dir.path().join(format!("{}.secret", p.name)), &p.client_secret)?;
        }
        for (name, text) in &spec.files {
            write_secret(&dir.path().join(name), text)?;
        }
        let program = spec.program.clone().map_or_else(binary, Ok)?;
        let mut host = Self { url: format!("http://127.0.0.1:{}", spec.port), dir, program, child: None, starts: 0 };
        host.restart()?;
        Ok(host)
    }

    /// The folder with the configuration; `data` in it is the data folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// The worker processes that run its guests, by their ids.
    pub fn workers(&self) -> Result<Vec<u32>> {
        let host = self.pid().context("it runs")?.to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
            let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
            let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            let (state, parent) = (fields.next(), fields.next());
            let worker = line.split(|byte| *byte == 0).any(|word| word == attache::workers::WORKER.as_bytes());
            if worker && state != Some("Z") && parent == Some(&host) {
                found.push(pid);
            }
        }
        Ok(found)
    }

    /// Starts it again over the same folder, and waits until it answers.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        self.starts += 1;
        let log = File::create(self.dir.path().join(format!("host-{}.log", self.starts)))?;
        // Without the signal that a file over its limit sends, so that `disk_is_full` is an error of writing.
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(&self.program)
            .args(["serve", "--config", "attache.toml", "--log-format", "json"])
            .current_dir(self.dir.path())
            .env("ATTACHE_LOG", std::env::var("ATTACHE_LOG").unwrap_or_else(|_| "info".into()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("the host did not start")?;
        self.child = Some(child);
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if std::net::TcpStream::connect(self.url.trim_start_matches("http://")).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.as_mut().and_then(|c| c.try_wait().ok().flatten()) {
                bail!("the host stopped with {status}:\n{}", self.log()?);
            }
            ensure!(Instant::now() < until, "the host does not answer:\n{}", self.log()?);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// From here on it can write no file, or can again.
    pub fn disk_is_full(&self, full: bool) -> Result<()> {
        let pid = self.pid().context("it runs")?.to_string();
        let limit = if full { "--fsize=1:unlimited" } else { "--fsize=unlimited:unlimited" };
        let status = Command::new("prlimit").args(["--pid", &pid, limit]).status().context("prlimit")?;
        ensure!(status.success(), "prlimit ended with {status}");
        Ok(())
    }

    /// Starts another program over the same folder in its place.
    pub fn run(&mut self, program: PathBuf) -> Result<()> {
        self.program = program;
        self.restart()
    }

    /// SIGKILL, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What it printed, over all its starts.
    pub fn log(&self) -> Result<String> {
        let mut text = String::new();
        for n in 1..=self.starts {
            text += &String::from_utf8_lossy(&fs::read(self.dir.path().join(format!("host-{n}.log")))?);
        }
        Ok(text)
    }

    /// Runs `attache <args>` beside it, as an operator would. Standard output, or an error with what it said.
    pub fn attache(&self, args: &[&str]) -> Result<String> {
        let output = Command::new(binary()?)
            .args(args)
            .args(["--config", "attache.toml"])
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!(
                "`attache {}` ended with {}:\n{text}{}",
                args.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(text)
    }

    /// As [`Host::attache`], with `--format json`.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let mut args = args.to_vec();
        args.extend(["--format", "json"]);
        let text = self.attache(&args)?;
        serde_json::from_str(&text).with_context(|| format!("`attache {}` printed no JSON: {text}", args.join(" ")))
    }

    /// Deploys a component under a name.
    pub fn deploy(&self, name: &str, component: &Path, publisher: &str) -> Result<()> {
        let path = component.to_str().context("a path in UTF-8")?;
        self.attache(&["deploy", path, "--name", name, "--publisher", publisher, "--yes"]).map(drop)
    }
}

impl Host {
    /// All that it wrote: its log over all its starts, and its data folder. Not the secrets that its operator wrote.
    pub fn written(&self) -> Vec<PathBuf> {
        let logs = (1..=self.starts).map(|n| self.dir.path().join(format!("host-{n}.log")));
        logs.chain([self.data()]).collect()
    }
}

/// Nothing that it wrote holds a secret: no test is needed for that to be asked, and none can forget it.
impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            return;
        }
        match crate::sweep::sweep(&self.written()) {
            Ok(hits) => assert!(hits.is_empty(), "a host wrote a secret down: {hits:#?}"),
            Err(error) => panic!("what a host wrote cannot be read: {error:#}"),
        }
    }
}

fn write_secret(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

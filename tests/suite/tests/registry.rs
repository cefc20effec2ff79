//! Components, their signatures and what is said of them, through a real registry: pushed, signed, vetted, pulled and deployed
//! by name, with the command line as its user has it.

use anyhow::{Context as _, Result, ensure};
use attache::ids::Digest;
use http::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use suite::call::Caller;
use suite::host::{binary, component, free_port};
use suite::sigstore::{Identity, Sigstore};
use suite::world::World;

/// Debian's `docker-registry`, in memory.
struct Registry {
    child: Child,
    address: String,
    folder: tempfile::TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    /// None where the program is missing. `login`: a name and a password that it wants.
    fn start(login: Option<(&str, &str)>) -> Result<Option<Self>> {
        if Command::new("docker-registry").arg("--version").output().is_err() {
            eprintln!("SKIPPED: `docker-registry` is missing; `apt-get install docker-registry`");
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let mut text = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  inmemory: {{}}\nhttp:\n  addr: 127.0.0.1:{port}\n  secret: a-secret-of-tests\n"
        );
        if let Some((name, password)) = login {
            let made = Command::new("htpasswd").args(["-Bbn", name, password]).output();
            let line = made.context("`htpasswd` is missing; `apt-get install apache2-utils`")?.stdout;
            fs::write(folder.path().join("users"), line)?;
            let path = folder.path().join("users");
            text += &format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", path.display());
        }
        let file = folder.path().join("registry.yml");
        fs::write(&file, text)?;
        let log = fs::File::create(folder.path().join("log"))?;
        let child =
            Command::new("docker-registry").arg("serve").arg(&file).stdout(log.try_clone()?).stderr(log).spawn()?;
        let registry = Self { child, address: format!("127.0.0.1:{port}"), folder };
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(&registry.address).is_err() {
            ensure!(Instant::now() < until, "{}", fs::read_to_string(registry.folder.path().join("log"))?);
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(registry))
    }
}

/// `attache`, in a folder of its own, as somebody without a configuration.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::copy(component("hello")?, folder.path().join("hello.wasm"))?;
        Ok(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(&self, args: &[&str], environment: &[(&str, &str)]) -> Result<Output> {
        let mut command = Command::new(binary()?);
        command.args(args).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("HOME", self.0.path()).env_remove("DOCKER_CONFIG");
        Ok(command.envs(environment.iter().copied()).output()?)
    }

    fn run(&self, args: &[&str]) -> Result<String> {
        let output = self.with(args, &[])?;
        ensure!(output.status.success(), "{args:?}: {}", said(&output));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// That this fails, and what it says.
    fn refused(&self, args: &[&str]) -> Result<String> {
        let output = self.with(args, &[])?;
        ensure!(!output.status.success(), "{args:?} went well: {}", said(&output));
        Ok(said(&output))
    }

    fn report(&self, args: &[&str]) -> Result<Value> {
        let args = [&["--format", "json", "vet"], args].concat();
        let output = self.with(&args, &[])?;
        serde_json::from_slice(&output.stdout).with_context(|| format!("{args:?}: {}", said(&output)))
    }

    /// A pair of keys, and a trust file for it.
    fn keys(&self, name: &str) -> Result<()> {
        let told = self.run(&["sign", "--new-key", name])?;
        let trust = &told[told.find("[[keys]]").context("what to put into a trust file")?..];
        Ok(fs::write(self.path(&format!("{name}.toml")), trust)?)
    }
}

/// Puts something into a registry that refers to a manifest: its bytes, a manifest around them, and the list under the tag
/// that is for this where a registry keeps none itself (as Debian's), as cosign 3 does.
async fn refer(registry: &Registry, repository: &str, to: &str, kind: &str, bytes: Vec<u8>) -> Result<()> {
    let caller = Caller::new(&format!("http://{}", registry.address));
    let put = async |bytes: &[u8]| {
        let begun = caller.send(Method::POST, &format!("/v2/{repository}/blobs/uploads/"), None, &[], "").await?;
        let place = begun.headers.get("location").context("a place")?.to_str()?;
        let place = place.trim_start_matches(&format!("http://{}", registry.address));
        let digest = Digest::of(bytes).to_string();
        let done = caller.send(Method::PUT, &format!("{place}&digest={digest}"), None, &[], bytes.to_vec()).await?;
        ensure!(done.status == 201, "{} {}", done.status, done.text());
        Ok(json!({ "mediaType": kind, "digest": digest, "size": bytes.len() }))
    };
    let of_manifests = async |name: &str, kind: &str, manifest: &Value| {
        let path = format!("/v2/{repository}/manifests/{name}");
        let done = caller.send(Method::PUT, &path, None, &[("content-type", kind)], manifest.to_string()).await?;
        ensure!(done.status == 201, "{} {}", done.status, done.text());
        Ok(())
    };
    let (layer, config) = (put(&bytes).await?, put(b"{}").await?);
    let one = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({ "schemaVersion": 2, "mediaType": one, "artifactType": kind, "config": config, "layers": [layer] });
    let digest = Digest::of(manifest.to_string().as_bytes()).to_string();
    of_manifests(&digest, one, &manifest).await?;
    let many = "application/vnd.oci.image.index.v1+json";
    let size = manifest.to_string().len();
    let entry = json!({ "mediaType": one, "artifactType": kind, "digest": digest, "size": size });
    let list = json!({ "schemaVersion": 2, "mediaType": many, "manifests": [entry] });
    of_manifests(&to.replace(':', "-"), many, &list).await
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_file_is_signed_attested_and_vetted_with_what_lies_beside_it() -> Result<()> {
    let desk = Desk::new()?;
    desk.keys("acme")?;
    desk.keys("other")?;
    let report = |trust: &str| desk.report(&["hello.wasm", "--policy", "strict", "--trust", trust]);
    let rules = |report: &Value| {
        let all = report["findings"].as_array().into_iter().flatten();
        all.filter_map(|one| one["rule"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let unsigned = report("acme.toml")?;
    ensure!(unsigned["provenance"]["state"] == "unsigned", "{unsigned}");
    ensure!(rules(&unsigned).contains(&"signature-missing".to_owned()), "{unsigned}");

    desk.run(&["sign", "hello.wasm", "--key", "acme.key"])?;
    let signed = report("acme.toml")?;
    ensure!(signed["provenance"]["state"] == "verified", "{signed}");
    ensure!(signed["provenance"]["signers"][0]["name"] == "acme", "{signed}");
    ensure!(!rules(&signed).contains(&"signature-missing".to_owned()), "{signed}");
    let other = report("other.toml")?;
    ensure!(other["provenance"]["state"] == "does-not-verify", "{other}");
    ensure!(rules(&other).contains(&"signature-does-not-verify".to_owned()), "{other}");
    // What its only owner may read.
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(desk.path("acme.key"))?.permissions());
    ensure!(mode & 0o077 == 0, "{mode:o}");
    ensure!(desk.refused(&["sign", "--new-key", "acme"])?.contains("is not written over"));

    fs::write(desk.path("slsa.json"), r#"{"runDetails":{"builder":{"id":"https://builder.example"}}}"#)?;
    desk.run(&["attest", "hello.wasm", "--key", "acme.key", "--type", "slsa", "--predicate", "slsa.json"])?;
    let attested = report("acme.toml")?;
    ensure!(attested["provenance"]["attestations"][0]["builder"] == "https://builder.example", "{attested}");
    // Another key of the world, made by another program, signs and verifies alike.
    let openssl = Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(desk.path("acme.key")).output()?;
    ensure!(openssl.stdout == fs::read(desk.path("acme.pub"))?, "openssl reads the key as another");

    // One byte.
    let mut bytes = fs::read(desk.path("hello.wasm"))?;
    bytes.extend_from_slice(&[0, 2, 1, b'x']);
    fs::write(desk.path("hello.wasm"), bytes)?;
    let changed = report("acme.toml")?;
    ensure!(changed["provenance"]["state"] == "does-not-verify", "{changed}");
    ensure!(changed["provenance"]["attestations"] == Value::Array(Vec::new()), "{changed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_goes_through_a_registry_with_its_signature_and_is_deployed_by_digest() -> Result<()> {
    let Some(registry) = Registry::start(None)? else { return Ok(()) };
    let desk = Desk::new()?;
    desk.keys("acme")?;
    let reference = format!("{}/team/hello:1.0", registry.address);
    let oci = format!("oci://{reference}");
    let pushed = desk.run(&["push", "hello.wasm", &reference])?;
    ensure!(pushed.contains("@sha256:"), "{pushed}");
    desk.run(&["sign", &oci, "--key", "acme.key"])?;
    fs::write(desk.path("slsa.json"), r#"{"runDetails":{"builder":{"id":"https://builder.example"}}}"#)?;
    desk.run(&["attest", &oci, "--key", "acme.key", "--type", "slsa", "--predicate", "slsa.json"])?;

    let report = desk.report(&[&oci, "--trust", "acme.toml"])?;
    ensure!(report["provenance"]["state"] == "verified", "{report}");
    ensure!(report["provenance"]["attestations"][0]["by"]["name"] == "acme", "{report}");
    let pinned = report["file"].as_str().context("a name")?.to_owned();
    ensure!(pinned.contains("@sha256:"), "vetted by digest: {pinned}");

    desk.run(&["pull", &reference, "-o", "again.wasm"])?;
    ensure!(fs::read(desk.path("again.wasm"))? == fs::read(desk.path("hello.wasm"))?);
    ensure!(desk.refused(&["pull", &reference, "-o", "again.wasm"])?.contains("--force"));

    // Other people's tools see what they expect.
    if let Ok(output) = Command::new("skopeo")
        .args(["inspect", "--raw", "--tls-verify=false", &format!("docker://{reference}")])
        .output()
    {
        let manifest: Value = serde_json::from_slice(&output.stdout).with_context(|| said(&output))?;
        ensure!(manifest["layers"][0]["mediaType"] == "application/wasm", "{manifest}");
        ensure!(manifest["config"]["mediaType"] == "application/vnd.wasm.config.v0+json", "{manifest}");
    }

    // A tag that is moved does not move what was signed or pinned.
    let other = component("plain")?;
    desk.run(&["push", other.to_str().context("a path")?, &reference])?;
    let moved = desk.report(&[&oci, "--trust", "acme.toml"])?;
    ensure!(moved["provenance"]["state"] == "unsigned", "{moved}");
    let still = desk.report(&[&pinned, "--trust", "acme.toml"])?;
    ensure!(still["provenance"]["state"] == "verified", "{still}");

    let world = World::start().await?;
    let trust = desk.path("acme.toml");
    let trust = trust.to_str().context("a path")?;
    let publisher = ["--publisher", "acme.example", "--yes", "--trust", trust];
    let signed = "name = \"signed\"\nrequire-review-when-widened = true\n[signatures]\nrequired = true\n[limits]\nbytes = 67108864\n\
                  memory = 67108864\ntable-elements = 20000\nparts = 200\n[authority]\ngrants = []\n[severity]\nmanifest-missing = \"note\"\n";
    fs::write(desk.path("signed.toml"), signed)?;
    let policy = desk.path("signed.toml");
    let policy = ["--policy", policy.to_str().context("a path")?];
    // The tag names what nobody signed by now.
    let refused = world.host.attache(&[&["deploy", &oci][..], &publisher, &policy].concat());
    let refused = format!("{:#}", refused.err().context("it is not deployed")?);
    ensure!(refused.contains("signature-missing") && refused.contains("is not deployed"), "{refused}");
    // What would have to be said is said, to be copied.
    let probe = component("probe")?;
    let probe = ["deploy", probe.to_str().context("a path")?];
    let refused = world.host.attache(&[&probe[..], &publisher, &policy].concat());
    let refused = format!("{:#}", refused.err().context("the policy grants nothing")?);
    ensure!(refused.contains("[authority]\ngrants = [\"attache:identity/"), "{refused}");
    ensure!(refused.contains("attache:identity/credentials.oauth2"), "{refused}");
    world.host.attache(&[&["deploy", &pinned][..], &publisher, &policy].concat())?;
    let agents = world.host.json(&["agents"])?;
    let hello = agents.as_array().and_then(|all| all.iter().find(|one| one["name"] == "hello")).context("hello")?;
    ensure!(hello["version"]["source"] == pinned.as_str(), "{hello}");
    let alice = world.token("alice").await?;
    let reply = world.caller.invoke("hello", &alice, &serde_json::json!({})).await?;
    ensure!(reply.status == 200, "{reply:?}");
    Ok(())
}

#[test]
fn a_registry_that_wants_a_login_or_is_not_there_says_what_to_do() -> Result<()> {
    let desk = Desk::new()?;
    let nobody = format!("127.0.0.1:{}/x:1", free_port()?);
    ensure!(desk.refused(&["pull", &nobody])?.contains("does not answer"));
    ensure!(desk.refused(&["pull", "registry.example"])?.contains("write it as `oci://"));
    let output = desk.with(&["vet", &format!("oci://{nobody}")], &[])?;
    ensure!(output.status.code() == Some(2), "no verdict: {}", said(&output));

    let Some(registry) = Registry::start(Some(("alice", "a-password-of-tests")))? else { return Ok(()) };
    let reference = format!("{}/hello:1", registry.address);
    let told = desk.refused(&["push", "hello.wasm", &reference])?;
    ensure!(told.contains("wants a login") && told.contains("ATTACHE_REGISTRY_PASSWORD"), "{told}");
    let login = |password| [("ATTACHE_REGISTRY_USER", "alice"), ("ATTACHE_REGISTRY_PASSWORD", password)];
    let wrong = desk.with(&["push", "hello.wasm", &reference], &login("another"))?;
    ensure!(said(&wrong).contains("does not take this login"), "{}", said(&wrong));
    let right = desk.with(&["push", "hello.wasm", &reference], &login("a-password-of-tests"))?;
    ensure!(right.status.success(), "{}", said(&right));
    // As `docker login` leaves it.
    let docker = desk.path(".docker");
    fs::create_dir(&docker)?;
    let auth = "YWxpY2U6YS1wYXNzd29yZC1vZi10ZXN0cw==";
    fs::write(docker.join("config.json"), format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.address))?;
    desk.run(&["pull", &reference, "-o", "pulled.wasm"])?;
    let missing = desk.refused(&["pull", &format!("{}/hello:2", registry.address), "-o", "x.wasm"])?;
    ensure!(missing.contains("the registry has no"), "{missing}");
    ensure!(!Path::new(&desk.path("x.wasm")).exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_an_identity_signed_is_verified_beside_a_file_and_in_a_registry() -> Result<()> {
    let desk = Desk::new()?;
    let sigstore = Sigstore::new()?;
    let issuer = "https://token.actions.githubusercontent.com";
    let workflow = "https://github.com/acme/hello/.github/workflows/release.yml";
    let subject = format!("{workflow}@refs/tags/v1.0");
    let acme = Identity { issuer, subject: &subject };
    // The trusted root lies beside the trust file, wherever one calls from.
    fs::create_dir(desk.path("rules"))?;
    fs::write(desk.path("rules/root.json"), sigstore.trusted_root())?;
    let trust = format!(
        "trusted-root = \"root.json\"\n[[identities]]\nname = \"acme\"\npublisher = \"acme.example\"\nissuer = \"{issuer}\"\n\
         subject = \"{workflow}@refs/tags/*\"\n"
    );
    fs::write(desk.path("rules/trust.toml"), &trust)?;
    let report = |component: &str| desk.report(&[component, "--policy", "strict", "--trust", "rules/trust.toml"]);

    let bytes = fs::read(desk.path("hello.wasm"))?;
    let bundle = desk.path("hello.wasm.sigstore.json");
    fs::write(&bundle, sigstore.signature(acme, &bytes)?)?;
    let signed = report("hello.wasm")?;
    ensure!(signed["provenance"]["state"] == "verified", "{signed}");
    let signer = &signed["provenance"]["signers"][0];
    ensure!(signer["identity"] == json!({ "issuer": issuer, "subject": subject }), "{signed}");
    let text = desk.with(&["vet", "hello.wasm", "--trust", "rules/trust.toml"], &[])?;
    ensure!(said(&text).contains(&format!("acme, of acme.example, {subject}, as {issuer} says")), "{}", said(&text));
    let others =
        sigstore.signature(Identity { subject: "https://github.com/evil/hello@refs/tags/v1.0", ..acme }, &bytes)?;
    fs::write(&bundle, others)?;
    let stranger = report("hello.wasm")?;
    ensure!(stranger["provenance"]["state"] == "does-not-verify", "{stranger}");
    ensure!(stranger["provenance"]["problems"][0].to_string().contains("evil/hello"), "{stranger}");
    fs::remove_file(desk.path("rules/root.json"))?;
    let told = desk.with(&["vet", "hello.wasm", "--trust", "rules/trust.toml"], &[])?;
    ensure!(told.status.code() == Some(2) && said(&told).contains("root.json"), "{}", said(&told));
    fs::write(desk.path("rules/root.json"), sigstore.trusted_root())?;

    let Some(registry) = Registry::start(None)? else { return Ok(()) };
    let oci = format!("oci://{}/team/hello:1.0", registry.address);
    desk.run(&["push", "hello.wasm", oci.trim_start_matches("oci://")])?;
    let pushed = report(&oci)?;
    ensure!(pushed["provenance"]["state"] == "unsigned", "{pushed}");
    let manifest = pushed["file"].as_str().and_then(|name| name.split_once('@')).context("a digest")?.1;
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": manifest.trim_start_matches("sha256:") } }],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    });
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    refer(&registry, "team/hello", manifest, kind, sigstore.statement(acme, &statement)?).await?;
    let verified = report(&oci)?;
    ensure!(verified["provenance"]["state"] == "verified", "{verified}");
    ensure!(verified["provenance"]["signers"][0]["name"] == "acme", "{verified}");
    Ok(())
}

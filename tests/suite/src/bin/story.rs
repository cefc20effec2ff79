//! The story, told to a terminal: `cargo xtask demo`. Exits 0 only if every step held.

use anyhow::Result;
use std::io::{BufRead as _, IsTerminal as _, stdin, stdout};
use suite::story::{Teller, consent_of, meeting, tell};
use suite::world::World;

/// Writes to standard output, with colours where it is a terminal.
struct Aloud {
    colours: bool,
    chapters: usize,
}

impl Aloud {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Teller for Aloud {
    fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        println!("\n{}", self.paint("1", &format!("{}. {title}", self.chapters)));
    }
    fn held(&mut self, what: &str) {
        println!("   {} {what}", self.paint("32", "✓"));
    }
    fn seen(&mut self, what: &str) {
        for line in what.trim_end().lines() {
            println!("     {}", self.paint("2", line));
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut teller = Aloud { colours: stdout().is_terminal(), chapters: 0 };
    println!("An agent reads its user's calendar, and nobody else's.");
    println!(
        "Two certified OpenID providers on loopback: one is the users' identity provider, one plays the calendar."
    );
    let mut world = World::start().await?;
    tell(&mut world, &mut teller).await?;
    println!("\n{}", teller.paint("1;32", "Every step held."));
    if stdin().is_terminal() && stdout().is_terminal() {
        stay(&world).await?;
    }
    Ok(())
}

/// Leaves a consent link and the page of grants to look at, until somebody presses Enter.
async fn stay(world: &World) -> Result<()> {
    let alice = world.bed.idp.sign_in("alice").await?;
    let consent = consent_of(&world.caller.invoke("calendar", &alice, &meeting(world, "Dinner")).await?)?;
    println!("\nThe host is still running. To look at it yourself, sign in as `alice` with any password:");
    println!("  a consent waiting for alice   {}", consent.url);
    println!("  what alice granted            {}/me", world.host.url);
    println!(
        "  operators' commands           attache agents --config {}",
        world.host.dir().join("attache.toml").display()
    );
    println!("\nPress Enter to stop it.");
    tokio::task::spawn_blocking(|| stdin().lock().lines().next()).await?;
    Ok(())
}

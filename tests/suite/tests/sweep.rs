//! The sweep at the end of every host finds what there is to be found.

use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::fs;
use suite::sweep::{enter, found, spellings, sweep};
use suite::world::World;

const SECRET: &str = "S3cret/value+of~a-Token_that.is_long==";

#[test]
fn a_planted_secret_is_found_in_every_spelling_and_place() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let deep = folder.path().join("a/b");
    fs::create_dir_all(&deep)?;
    let secrets = BTreeSet::from([SECRET.to_owned()]);
    let places = [folder.path().to_owned()];
    ensure!(spellings(SECRET).len() >= 10, "there are many ways to write it");
    for (number, form) in spellings(SECRET).into_iter().enumerate() {
        let file = deep.join(format!("{number}.db"));
        let text = [b"\0\xff before ".as_slice(), &form, b" after \0"].concat();
        fs::write(&file, text)?;
        ensure!(found(&secrets, &places)?.len() == 1, "spelling {number} is not found");
        fs::remove_file(&file)?;
    }
    fs::write(deep.join("nothing"), "S3cret/value+of another")?;
    ensure!(found(&secrets, &places)?.is_empty(), "a part of it is not it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_the_token_endpoint_is_swept_for_and_a_leak_would_be_seen() -> Result<()> {
    let world = World::start().await?;
    let person = world.person("alice").await?;
    ensure!(sweep(&world.host.written())?.is_empty(), "a host that did its work wrote no secret");
    // The control: the very token of a user, planted where a host could have written it.
    let planted = world.host.data().join("planted");
    fs::write(&planted, format!("token={}", person.token))?;
    ensure!(sweep(&world.host.written())?.len() == 1, "the user's token was entered, and is found");
    fs::remove_file(&planted)?;
    enter("another-secret-that-passed-nowhere")?;
    fs::write(&planted, "another-secret-that-passed-nowhere")?;
    ensure!(sweep(&world.host.written())?.len() == 1);
    fs::remove_file(&planted)?;
    Ok(())
}

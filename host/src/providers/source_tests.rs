use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn write(path: &Path, bytes: &[u8], mode: u32) {
    // Beside and renamed, as tools that rotate secrets do.
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

fn text(secret: Result<SharedSecret, SecretUnavailable>) -> Result<String, String> {
    secret.map(|secret| secret.expose_text().unwrap().to_owned()).map_err(|error| error.to_string())
}

const START: Timestamp = Timestamp::from_millis(1_000_000);

#[test]
fn a_rotated_secret_is_used_after_two_seconds_at_the_latest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    write(&path, b"first\n", 0o600);
    let file = SecretFile::new(path.clone(), None);
    assert_eq!(text(file.secret(START)).unwrap(), "first");
    write(&path, b"other\n", 0o600);
    assert_eq!(text(file.secret(START.plus(Duration::from_millis(1_999)))).unwrap(), "first");
    assert_eq!(text(file.secret(START.plus(LOOK))).unwrap(), "other");
}

#[test]
fn an_unchanged_file_is_not_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    write(&path, b"first\n", 0o600);
    let file = SecretFile::new(path, None);
    let first = file.secret(START).unwrap();
    assert!(Arc::ptr_eq(&first, &file.secret(START.plus(10 * LOOK)).unwrap()));
}

#[test]
fn a_file_that_is_wrong_gives_nothing_until_it_is_right_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    write(&path, b"first", 0o600);
    let file = SecretFile::new(path.clone(), None);
    let mut now = START;
    assert_eq!(text(file.secret(now)).unwrap(), "first");
    for (bytes, mode, why) in [
        (&b""[..], 0o600, "is empty"),
        (b"two\nlines", 0o600, "one line"),
        (b"others-read-this", 0o644, "chmod 600"),
        (b"\xff\xfe", 0o600, "one line"),
    ] {
        write(&path, bytes, mode);
        for _ in 0..2 {
            now = now.plus(LOOK);
            let error = text(file.secret(now)).unwrap_err();
            assert!(error.contains(why) && !error.contains("others-read-this"), "{error}");
        }
    }
    std::fs::remove_file(&path).unwrap();
    now = now.plus(LOOK);
    assert!(text(file.secret(now)).unwrap_err().contains("cannot be read"));
    write(&path, b"back", 0o600);
    assert_eq!(text(file.secret(now.plus(LOOK))).unwrap(), "back");
}

#[test]
fn a_member_of_a_json_object_can_be_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let read = |bytes: &[u8]| {
        write(&path, bytes, 0o600);
        text(SecretFile::new(path.clone(), Some("api_key".into())).secret(START))
    };
    assert_eq!(read(br#"{"api_key": "k3y", "other": 1}"#).unwrap(), "k3y");
    for bytes in [&br#"{"other": "canary"}"#[..], br#"{"api_key": 5318008}"#, b"canary", br#"{"api_key": ""}"#, b"[]"] {
        let error = read(bytes).unwrap_err();
        assert!(!error.contains("canary") && !error.contains("5318008"), "{error}");
    }
}

#[test]
fn no_id_leads_out_of_the_folder() {
    let folder = SecretFolder::new("/secrets".into());
    for id in ["github", "team/github.json", "a-b_c+d=e@f"] {
        assert!(folder.file(id, None).is_ok(), "{id}");
    }
    for id in [
        "",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        ".hidden",
        "a/.git",
        "a\\b",
        "a b",
        "a\0",
        "arn:aws:x",
    ] {
        assert!(folder.file(id, None).is_err(), "{id:?}");
    }
}

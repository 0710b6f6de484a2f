//! The store on a real file system.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use ken_secrets::{
    GitState, InitError, LoadError, Need, Origin, OutcomeState, SecretName, SecretState, SecretStore,
    git_tracked, write_private,
};
use proptest::prelude::*;

const GENERATED: [SecretName; 10] = [
    SecretName::NextauthSecret,
    SecretName::Salt,
    SecretName::EncryptionKey,
    SecretName::PostgresPassword,
    SecretName::ClickhousePassword,
    SecretName::RedisPassword,
    SecretName::MinioPassword,
    SecretName::ProjectPublicKey,
    SecretName::ProjectSecretKey,
    SecretName::UserPassword,
];

fn needs() -> Vec<Need> {
    GENERATED.into_iter().map(|name| Need { name, origin: Origin::Generated }).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn made() -> (tempfile::TempDir, SecretStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SecretStore::at(folder.path().join("secrets"));
    store.init(&needs(), false).unwrap();
    (folder, store)
}

#[test]
fn what_is_made_is_private_and_kept() {
    let (_folder, store) = made();
    assert_eq!((mode(store.dir()), mode(&store.file())), (0o700, 0o600));
    assert_eq!(fs::read_to_string(store.dir().join(".gitignore")).unwrap(), "*\n");
    let first = store.load().unwrap();
    assert_eq!(first.names().collect::<Vec<_>>(), GENERATED);
    let outcomes = store.init(&needs(), true).unwrap();
    assert!(outcomes.iter().all(|o| o.state == OutcomeState::Kept));
    assert_eq!(store.load().unwrap(), first);
    assert!(store.check(&needs()).unwrap().iter().all(|s| s.state == SecretState::Present));
}

#[test]
fn one_that_is_missing_is_added_and_the_others_stay() {
    let (_folder, store) = made();
    let before = store.load().unwrap();
    let text = fs::read_to_string(store.file()).unwrap();
    let without: String =
        text.lines().filter(|l| !l.starts_with("MINIO_PASSWORD=")).map(|l| format!("{l}\n")).collect();
    write_private(&store.file(), without.as_bytes()).unwrap();
    store.init(&needs(), true).unwrap();
    let after = store.load().unwrap();
    for name in GENERATED.into_iter().filter(|n| *n != SecretName::MinioPassword) {
        assert_eq!(after.get(name), before.get(name), "{name}");
    }
    assert_ne!(after.get(SecretName::MinioPassword), before.get(SecretName::MinioPassword));
}

#[test]
fn secrets_are_never_made_anew_over_data() {
    let (_folder, store) = made();
    fs::remove_file(store.file()).unwrap();
    let error = store.init(&needs(), true).unwrap_err();
    assert!(matches!(&error, InitError::Lost { names, .. } if names.len() == 10), "{error}");
    assert!(!store.file().exists());
    assert!(error.to_string().contains("restore"), "{error}");
}

#[test]
fn what_belongs_to_others_must_be_provided() {
    let folder = tempfile::tempdir().unwrap();
    let store = SecretStore::at(folder.path().join("secrets"));
    let mut all = needs();
    all.push(Need { name: SecretName::S3SecretAccessKey, origin: Origin::Provided });
    let error = store.init(&all, false).unwrap_err();
    assert!(
        error.to_string().contains("S3_SECRET_ACCESS_KEY") && error.to_string().contains("secrets.env"),
        "{error}"
    );
    assert!(!store.dir().exists(), "nothing may be made");
    write_private(&store.file(), b"S3_SECRET_ACCESS_KEY=abc/def+ghi\n").unwrap();
    store.init(&all, false).unwrap();
    assert_eq!(store.load().unwrap().get(SecretName::S3SecretAccessKey).unwrap().expose(), "abc/def+ghi");
}

#[test]
fn the_owner_of_a_store_chooses_its_password_and_ours_are_ours() {
    let folder = tempfile::tempdir().unwrap();
    let store = SecretStore::at(folder.path().join("secrets"));
    write_private(&store.file(), b"POSTGRES_PASSWORD=p@ss/w:rd#%\n").unwrap();
    let mut needs = needs();
    needs[3].origin = Origin::Provided;
    store.init(&needs, false).unwrap();
    assert!(store.check(&needs).unwrap().iter().all(|s| s.state == SecretState::Present));
    needs[3].origin = Origin::Generated;
    assert!(matches!(store.check(&needs).unwrap()[3].state, SecretState::Weak { .. }));
    let error = store.init(&needs, false).unwrap_err();
    assert!(matches!(error, InitError::Unfit { name: SecretName::PostgresPassword, .. }), "{error}");
    assert!(!error.to_string().contains("p@ss"), "{error}");
}

#[test]
fn what_a_killed_writer_left_is_removed() {
    let (_folder, store) = made();
    fs::write(store.dir().join(".new-abcdef"), "SALT=half").unwrap();
    store.init(&needs(), true).unwrap();
    let mut left: Vec<_> =
        fs::read_dir(store.dir()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, [".gitignore", "secrets.env"]);
}

#[test]
fn a_folder_that_cannot_be_written_changes_nothing() {
    // Root may write anywhere: a file in the folder's place refuses root too.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secrets"), "x").unwrap();
    let store = SecretStore::at(folder.path().join("secrets"));
    assert!(matches!(store.init(&needs(), false), Err(InitError::Load(LoadError::Io { .. }))));
    assert_eq!(fs::read_to_string(folder.path().join("secrets")).unwrap(), "x");
    let store = SecretStore::at("/proc/no-such-folder/secrets");
    assert!(matches!(store.init(&needs(), false), Err(InitError::Write(_))));
}

#[test]
fn a_file_that_others_can_read_is_refused() {
    let (_folder, store) = made();
    fs::set_permissions(store.file(), Permissions::from_mode(0o640)).unwrap();
    let error = store.load().unwrap_err();
    assert!(matches!(error, LoadError::Open { mode: 0o640, .. }), "{error}");
    assert!(error.to_string().contains("chmod 600"), "{error}");
}

#[test]
fn links_folders_and_rubbish_are_refused() {
    let (_folder, store) = made();
    let real = store.dir().join("elsewhere");
    fs::rename(store.file(), &real).unwrap();
    symlink(&real, store.file()).unwrap();
    assert!(matches!(store.load(), Err(LoadError::NotAFile { what: "a symbolic link", .. })));
    assert!(write_private(&store.file(), b"x").is_err());
    fs::remove_file(store.file()).unwrap();
    fs::create_dir(store.file()).unwrap();
    assert!(matches!(store.load(), Err(LoadError::NotAFile { .. })));
    fs::remove_dir(store.file()).unwrap();
    write_private(&store.file(), &[0xff, 0xfe, 0x00]).unwrap();
    assert!(matches!(store.load(), Err(LoadError::NotAFile { what: "not text", .. })));
    write_private(&store.file(), &vec![b'#'; 70_000]).unwrap();
    assert!(matches!(store.load(), Err(LoadError::NotAFile { .. })));
}

#[test]
fn a_wrong_line_is_named_and_never_quoted() {
    let (_folder, store) = made();
    for (text, words) in [
        ("SALT=hunter2hunter2\n", "SALT"),
        ("hunter2hunter2\n", "NAME=value"),
        ("hunter2hunter2=x\n", "known"),
        ("MINIO_PASSWORD=hunter2hunter2hunter2hunter2hunter2@\n", "letters and digits"),
        ("CLICKHOUSE_PASSWORD=hunter2@hunter2\n", "in a URL"),
        ("REDIS_PASSWORD=hunter2\n", "at least 8"),
        (&format!("ENCRYPTION_KEY={}\n", "0".repeat(64)), "not all zero"),
    ] {
        write_private(&store.file(), format!("# comment\n{text}").as_bytes()).unwrap();
        let error = store.load().unwrap_err().to_string();
        assert!(error.contains(words) && error.contains(":2:"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_file_that_git_tracks_is_refused() {
    let (folder, store) = made();
    let git = |arguments: &[&str]| {
        duct::cmd("git", arguments).dir(folder.path()).stdout_null().stderr_null().run().unwrap();
    };
    assert_eq!(git_tracked(&store.file()), GitState::NoRepository);
    git(&["init", "-q"]);
    assert_eq!(git_tracked(&store.file()), GitState::NotTracked);
    store.load().unwrap();
    git(&["add", "--all"]);
    assert_eq!(git_tracked(&store.file()), GitState::NotTracked, "its own .gitignore keeps it out");
    git(&["add", "--force", "secrets/secrets.env"]);
    let error = store.load().unwrap_err();
    assert!(matches!(error, LoadError::TrackedByGit { .. }), "{error}");
    assert!(error.to_string().contains("git rm --cached"), "{error}");
}

#[test]
fn a_reader_never_sees_half_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    let (small, large) = (vec![b'a'; 10], vec![b'b'; 400_000]);
    write_private(&path, &small).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..40 {
                write_private(&path, &large).unwrap();
                write_private(&path, &small).unwrap();
            }
        });
        let mut looks = 0;
        while !writer.is_finished() || looks < 10 {
            let seen = fs::read(&path).unwrap();
            assert!(seen == small || seen == large, "{} bytes", seen.len());
            looks += 1;
        }
    });
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["f"], "nothing is left beside it");
}

#[test]
fn nothing_that_is_shown_holds_a_value() {
    let (_folder, store) = made();
    let set = store.load().unwrap();
    let shown = format!("{set:?} {store:?} {:?} {:?}", store.check(&needs()), store.init(&needs(), true));
    for (name, value) in set.iter() {
        assert!(!shown.contains(value.expose()), "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_give_a_set_or_an_error_without_them(noise in "[!-~]{12,60}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let store = SecretStore::at(folder.path().join("secrets"));
        write_private(&store.file(), &bytes).unwrap();
        let _ = store.load();
        write_private(&store.file(), format!("SALT={noise}\n").as_bytes()).unwrap();
        if let Err(error) = store.load() {
            prop_assert!(!error.to_string().contains(&noise));
        }
    }
}

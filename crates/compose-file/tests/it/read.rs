//! The loader: one clear error for each kind of thing that is not a readable Compose file.

use std::fs;

use ken_compose_file::{ComposeFile, MAX_BYTES, ParseProblem, ReadError};

#[test]
fn each_kind_of_wrong_path_has_its_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);

    assert!(matches!(ComposeFile::read(&path("none.yml")), Err(ReadError::Missing { .. })));
    assert!(matches!(ComposeFile::read(folder.path()), Err(ReadError::Directory { .. })));

    fs::write(path("good.yml"), "services: {}\n").unwrap();
    assert!(ComposeFile::read(&path("good.yml")).is_ok());
    assert!(matches!(ComposeFile::read(&path("good.yml").join("below")), Err(ReadError::Missing { .. })));

    fs::write(path("bad.yml"), "services: [\n").unwrap();
    assert!(matches!(ComposeFile::read(&path("bad.yml")), Err(ReadError::Parse(_))));
}

#[test]
fn a_large_file_is_refused_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.yml");
    // Sparse, so that the test costs no disk; 50 MiB of NUL must not be read at all.
    fs::File::create(&path).unwrap().set_len(50 * 1024 * 1024).unwrap();
    let Err(ReadError::Parse(error)) = ComposeFile::read(&path) else { panic!("a large file was read") };
    let limit = MAX_BYTES as u64;
    assert_eq!(error.problem, ParseProblem::TooLarge { bytes: 50 * 1024 * 1024, limit });
}

#[cfg(unix)]
#[test]
fn a_socket_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket.yml");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert!(matches!(ComposeFile::read(&path), Err(ReadError::NotRegular { .. })));
}

#[cfg(unix)]
#[test]
fn a_file_without_rights_says_so() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("closed.yml");
    fs::write(&path, "services: {}\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    match ComposeFile::read(&path) {
        Err(ReadError::Permission { .. }) => {}
        // Root reads everything.
        Ok(_) => assert!(fs::read(&path).is_ok(), "the loader read what the user may not read"),
        Err(other) => panic!("{other:?}"),
    }
}

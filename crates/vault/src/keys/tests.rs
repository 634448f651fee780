use super::*;

fn dirs(root: &Path) -> [PathBuf; 2] {
    [root.join("a"), root.join("b")]
}

fn open(root: &Path, fresh: bool) -> Result<KeyStore, VaultError> {
    KeyStore::open(&dirs(root), [7; 16], fresh, Protection::FileMode)
}

#[test]
fn a_destroyed_key_is_in_neither_copy() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path(), true).unwrap();
    store.ensure(&[((1, 10), 28), ((1, 11), 28), ((2, 10), 28)].into()).unwrap();
    let dying = store.current(StreamId(1), 10).unwrap().unwrap();
    let gone = store.destroy(StreamId(1), 0..11).unwrap();
    assert_eq!(gone.len(), 1);
    assert!(store.key(StreamId(1), 10, dying.id).unwrap().is_none());
    for dir in dirs(root.path()) {
        let bytes = fs::read(dir.join("slots")).unwrap();
        assert!(!bytes.windows(32).any(|w| w == *dying.key), "the key is still in {}", dir.display());
    }
    assert!(
        store.current(StreamId(1), 11).unwrap().is_some()
            && store.current(StreamId(2), 10).unwrap().is_some()
    );
    drop(store);
    let mut store = open(root.path(), false).unwrap();
    assert!(store.key(StreamId(1), 10, dying.id).unwrap().is_none());
    assert!(store.current(StreamId(2), 10).unwrap().is_some());
}

#[test]
fn a_lost_copy_is_made_anew_and_a_half_destroyed_key_is_finished() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path(), true).unwrap();
    store.ensure(&[((1, 10), 28), ((1, 11), 28)].into()).unwrap();
    let (ten, eleven) =
        (store.current(StreamId(1), 10).unwrap().unwrap(), store.current(StreamId(1), 11).unwrap().unwrap());
    drop(store);
    fs::remove_file(root.path().join("b/slots")).unwrap();
    let mut store = open(root.path(), false).unwrap();
    assert_eq!(*store.current(StreamId(1), 10).unwrap().unwrap().key, *ten.key);
    assert!(fs::read(root.path().join("a/slots")).unwrap() == fs::read(root.path().join("b/slots")).unwrap());
    // A crash between the two overwrites: free in one copy, in use in the other.
    store.write_slot(0, 0, &FREE).unwrap();
    drop(store);
    let mut store = open(root.path(), false).unwrap();
    assert!(store.current(StreamId(1), 10).unwrap().is_none());
    // A damaged slot is mended from the other copy.
    store.write_slot(1, 1, &[3; SLOT]).unwrap();
    drop(store);
    let mut store = open(root.path(), false).unwrap();
    assert_eq!(*store.current(StreamId(1), 11).unwrap().unwrap().key, *eleven.key);
    drop(store);
    fs::remove_file(root.path().join("a/slots")).unwrap();
    fs::remove_file(root.path().join("b/slots")).unwrap();
    // Both gone: said, not hidden, and the store goes on with new keys.
    let mut store = open(root.path(), false).unwrap();
    assert!(store.at_opening().lost && store.current(StreamId(1), 11).unwrap().is_none());
    drop(store);
    assert!(matches!(
        KeyStore::open(&dirs(root.path()), [8; 16], false, Protection::FileMode),
        Err(VaultError::AnotherVault { .. })
    ));
}

#[test]
fn a_copy_that_was_away_is_never_believed() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path(), true).unwrap();
    store.ensure(&[((1, 10), 28), ((1, 11), 28)].into()).unwrap();
    assert_eq!(store.differing().unwrap(), 0);
    drop(store);
    // The second device was not mounted: a run with the first alone destroys one key and makes another.
    fs::rename(root.path().join("b"), root.path().join("away")).unwrap();
    let mut store = open(root.path(), false).unwrap();
    store.destroy(StreamId(1), 0..11).unwrap();
    store.ensure(&[((1, 12), 28)].into()).unwrap();
    drop(store);
    fs::remove_dir_all(root.path().join("b")).unwrap();
    fs::rename(root.path().join("away"), root.path().join("b")).unwrap();
    let mut store = open(root.path(), false).unwrap();
    assert!(store.current(StreamId(1), 10).unwrap().is_none(), "a destroyed key came back");
    assert!(store.current(StreamId(1), 12).unwrap().is_some() && store.at_opening().mended > 0);
    drop(store);
    // A key store that was made while the right one was away is refused beside it.
    fs::rename(root.path().join("a"), root.path().join("right")).unwrap();
    fs::rename(root.path().join("b"), root.path().join("right-b")).unwrap();
    drop(open(root.path(), false).unwrap());
    fs::remove_dir_all(root.path().join("a")).unwrap();
    fs::rename(root.path().join("right"), root.path().join("a")).unwrap();
    assert!(matches!(open(root.path(), false), Err(VaultError::KeyStoresDiffer { .. })));
}

/// A device that fails keeps no key alive on the other, and what is left on it goes with the next attempt, told once.
#[test]
fn a_failing_copy_keeps_no_key_alive_in_the_other() {
    use rustix::io::Errno;
    for (failing, healthy) in [("a", "b"), ("b", "a")] {
        let root = tempfile::tempdir().unwrap();
        let mut store = open(root.path(), true).unwrap();
        store.ensure(&[((1, 10), 28), ((1, 11), 28)].into()).unwrap();
        let dying = store.current(StreamId(1), 10).unwrap().unwrap();
        let disk = crate::powercut::Disk::watch(root.path());
        disk.fail_writes(if failing == "a" { "a/slots" } else { "b/slots" }, Errno::IO);
        assert!(store.destroy(StreamId(1), 0..11).is_err());
        assert!(store.key(StreamId(1), 10, dying.id).unwrap().is_none(), "it opens nothing any more");
        let has = |copy: &str| {
            let bytes = fs::read(root.path().join(copy).join("slots")).unwrap();
            bytes.windows(32).any(|window| window == *dying.key)
        };
        assert!(has(failing) && !has(healthy), "{healthy} is overwritten although {failing} fails");
        assert_eq!(store.hours(StreamId(1)), [10, 11], "it is still due");
        disk.repair();
        let gone = store.destroy(StreamId(1), 0..11).unwrap();
        assert_eq!(gone, [(10, commitment(&dying.key).to_hex().to_string())]);
        assert!(!has(failing) && store.hours(StreamId(1)) == [11]);
        assert!(store.current(StreamId(1), 11).unwrap().is_some());
        assert!(store.destroy(StreamId(1), 0..11).unwrap().is_empty());
    }
}

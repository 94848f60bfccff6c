use super::*;
use crate::pack::lock::{Locked, file_in};
use crate::pack::samples::{pack, record};
use crate::types::capability::Reach;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::at(folder.path().join("packs"));
    (folder, store)
}

fn install(store: &Store, pack: &Pack) {
    store.intake().expect("an intake").install(pack, &record(pack)).expect("installed");
}

fn note(store: &Store, lock: &Path) -> Result<(), StoreError> {
    store.intake()?.note_lock(lock)
}

#[test]
fn an_installed_pack_is_listed_and_read_and_equal_files_are_kept_once() {
    let (_folder, store) = store();
    assert!(store.records().expect("none").is_empty());
    let (old, new) = (pack("acme", "1.1.0", b"component"), pack("acme", "1.10.0", b"component"));
    install(&store, &new);
    install(&store, &old);
    install(&store, &old);
    let versions: Vec<String> = store.records().expect("two").iter().map(|record| record.version.to_string()).collect();
    assert_eq!(versions, ["1.1.0", "1.10.0"]);
    assert_eq!(store.blobs().expect("blobs").len(), 3, "two configs and one component");
    let found = store.record(&old.digest()).expect("read").expect("there");
    let read = store.pack(&found).expect("a pack");
    assert_eq!((read.manifest, read.artifact), (old.manifest.clone(), old.artifact));
    assert_eq!(store.pack(&found).expect("a pack").read(&old.manifest.files[0]).expect("bytes"), b"component");
}

#[test]
fn a_pack_is_removed_with_its_bytes_unless_a_lock_or_a_program_needs_it() {
    let (folder, store) = store();
    let (kept, removed) = (pack("acme", "1.1.0", b"shared"), pack("acme", "1.2.0", b"own"));
    install(&store, &kept);
    install(&store, &removed);
    let path = file_in(folder.path());
    let locked = |pack: &Pack| Locked {
        name: "acme".to_owned(),
        version: pack.manifest.version.clone(),
        source: "./pack".to_owned(),
        digest: pack.digest(),
        manifest: None,
        reach: Reach::default(),
        before: None,
    };
    let mut lock = Lock::default();
    lock.set(locked(&removed));
    lock.write(&path).and_then(|()| note(&store, &path)).expect("noted");
    let users = store.remove(&removed.digest()).expect("asked").expect_err("a lock needs it");
    assert_eq!(users, [format!("`{}`", path.display())]);

    let using = store.begin_use().expect("a use");
    using.add(&removed.digest()).expect("added");
    fs::remove_file(&path).expect("removed");
    assert_eq!(store.remove(&removed.digest()).expect("asked").expect_err("a program needs it"), ["a running simwright"]);

    drop(using);
    let collected = store.remove(&removed.digest()).expect("asked").expect("nobody needs it");
    assert_eq!(collected.files, 2);
    assert_eq!(store.blobs().expect("blobs").len(), 2);
    assert_eq!(store.collect().expect("collected"), Collected::default());
    // A lock keeps bytes even where the record is gone.
    lock.set(locked(&kept));
    lock.write(&path).and_then(|()| note(&store, &path)).expect("noted");
    fs::remove_file(store.record_file(&kept.digest())).expect("gone");
    assert_eq!(store.collect().expect("collected"), Collected::default());
    fs::remove_file(&path).expect("removed");
    assert_eq!(store.collect().expect("collected").files, 2);
}

#[test]
fn a_lock_that_cannot_be_read_keeps_everything() {
    let (folder, store) = store();
    install(&store, &pack("acme", "1.1.0", b"component"));
    let path = file_in(folder.path());
    fs::write(&path, "format = ").expect("written");
    note(&store, &path).expect("noted");
    let error = store.collect().expect_err("not known").to_string();
    assert!(error.contains("simwright.lock") && error.contains("damaged"), "{error}");
    // Who only wants to know who needs what is told the rest.
    let users = store.users().expect("known");
    assert_eq!(users.unreadable().count(), 1);
    let user = users.of(&Digest::of(b"any")).remove(0);
    assert!(user.contains("simwright.lock") && user.contains("cannot be read"), "{user}");
    assert_eq!(store.blobs().expect("blobs").len(), 2);
}

#[test]
fn rotten_bytes_are_mended_by_installing_again() {
    let (_folder, store) = store();
    let pack = pack("acme", "1.1.0", b"component");
    install(&store, &pack);
    let digest = pack.manifest.files[0].digest;
    fs::write(store.blob(&digest), b"componenx").expect("spoilt");
    assert!(matches!(store.read(&digest), Err(StoreError::Mismatch(_))));
    install(&store, &pack);
    assert_eq!(store.read(&digest).expect("mended"), b"component");
}

#[test]
fn a_record_is_written_after_all_bytes_are_there() {
    let (_folder, store) = store();
    let pack = pack("acme", "1.1.0", b"component");
    let intake = store.intake().expect("an intake");
    let refused = intake.finish(&pack.artifact, &record(&pack));
    assert!(matches!(refused, Err(PackError::Store(StoreError::Missing(_)))), "{refused:?}");
    assert!(store.records().expect("none").is_empty());
}

/// A disk that is not there today, or a folder that is renamed and renamed back.
#[test]
fn a_lock_whose_folder_is_gone_counts_again_when_it_comes_back() {
    let (folder, store) = store();
    let pack = pack("acme", "1.1.0", b"component");
    install(&store, &pack);
    let (place, away) = (folder.path().join("project"), folder.path().join("away"));
    fs::create_dir(&place).expect("made");
    let path = file_in(&place);
    let reach = Reach::default();
    let (version, source, digest) = (pack.manifest.version.clone(), "./pack".to_owned(), pack.digest());
    let mut lock = Lock::default();
    lock.set(Locked { name: "acme".to_owned(), version, source, digest, manifest: None, reach, before: None });
    lock.write(&path).and_then(|()| note(&store, &path)).expect("noted");
    fs::rename(&place, &away).expect("away");
    assert_eq!(store.users().expect("known").of(&digest), Vec::<String>::new());
    fs::rename(&away, &place).expect("back");
    assert_eq!(store.users().expect("known").of(&digest).len(), 1);
    // A lock that was removed from a folder that is there is forgotten.
    fs::remove_file(&path).expect("removed");
    store.users().expect("known");
    assert!(entries(&store.root().join(ROOTS)).expect("a folder").is_empty());
}

#[test]
fn a_program_begins_to_use_packs_while_others_install_or_throw_out() {
    let (_folder, store) = store();
    let pack = pack("acme", "1.1.0", b"component");
    install(&store, &pack);
    let alone = store.alone().expect("alone");
    // It would wait for ever if it waited at all: the one who is alone is this thread.
    let using = store.begin_use().expect("a use");
    using.add(&pack.digest()).expect("added");
    drop(alone);
    assert_eq!(store.remove(&pack.digest()).expect("asked").expect_err("it is used"), ["a running simwright"]);
    drop(using);
    store.remove(&pack.digest()).expect("asked").expect("nobody needs it");
}

//! Brings packs into the store and keeps the locks of scenarios.
//!
//! A pack is judged by the trust policy before its files are looked at, and tried out before it is installed. `install` does what a lock
//! says, and locks what is not locked yet; only `update` moves a lock. While packs are brought in nothing is thrown out, so that a lock
//! is written before what it names could be.

use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};

use crate::app::pack::examine::Bench;
use crate::app::pack::find::in_folder;
use crate::app::pack::make::Projects;
use crate::app::pack::remote;
use crate::app::pack::resolve::lock_of;
use crate::app::pack::{Failure, Flaws};
use crate::clock::Clock;
use crate::clock::real::RealClock;
use crate::pack::diff::{Change, diff, grown};
use crate::pack::digest::Digest;
use crate::pack::installed::Record;
use crate::pack::lock::{Lock, Locked};
use crate::pack::registry::pull::Offer;
use crate::pack::registry::reference::Reference;
use crate::pack::registry::{Access, Registry};
use crate::pack::store::{Intake, Store};
use crate::pack::trust::{Distrust, Origin, Policy, Voucher};
use crate::pack::whole::Pack;
use crate::scenario::refusal::Refusal;
use crate::scenario::{PackUse, Scenario, read};

/// How packs are brought in.
pub struct Installer {
    /// Where to.
    pub store: Store,
    /// From whom.
    pub policy: Policy,
    /// Also packs that nobody who is trusted has signed?
    pub insecure: bool,
    /// How registries are visited.
    pub registry: Registry,
    bench: Bench,
}

/// A pack that was brought in.
#[derive(Debug)]
pub struct Installed {
    /// Its record.
    pub record: Record,
    /// Who vouches for it; why nobody does, if it was taken all the same.
    pub voucher: Result<Voucher, String>,
}

/// What became of one pack of a scenario.
#[derive(Debug)]
pub struct Moved {
    /// Its name in the scenario.
    pub name: String,
    /// What is locked now, or would be.
    pub locked: Locked,
    /// What was locked before.
    pub before: Option<Locked>,
    /// What differs from that; empty if nothing does, or nothing was locked.
    pub changes: Vec<Change>,
    /// Who vouches for it; `None` if it was here already.
    pub voucher: Option<Result<Voucher, String>>,
}

/// What came of an update.
#[derive(Debug)]
pub struct Updated {
    /// Every pack that was looked at.
    pub packs: Vec<Moved>,
    /// Was the lock written? Not if something grew and nobody said that this is fine.
    pub written: bool,
}

impl Moved {
    /// Is it another pack than before?
    pub fn is_new(&self) -> bool {
        self.before.as_ref().is_none_or(|before| before.digest != self.locked.digest)
    }

    /// Must a person agree? If it reaches or uses more, or if its bytes are others and its version is the same.
    pub fn needs_consent(&self) -> bool {
        let republished = |before: &Locked| before.version == self.locked.version && before.digest != self.locked.digest;
        self.changes.iter().any(|change| change.grew) || self.before.as_ref().is_some_and(republished)
    }
}

/// A pack that was found, judged and tried out, and is not installed yet.
struct Candidate {
    pack: Pack,
    record: Record,
    /// The registry's manifest, if it comes from one.
    manifest: Option<Digest>,
    voucher: Result<Voucher, String>,
}

/// Which pack is wanted of a place that may have several.
#[derive(Default)]
struct Wanted<'a> {
    range: Option<&'a VersionReq>,
    locked: Option<&'a Locked>,
}

impl Installer {
    /// An installer for `store` under `policy`.
    pub fn at(store: Store, policy: Policy, insecure: bool) -> Result<Self, Failure> {
        Ok(Self { store, policy, insecure, registry: Registry::new(Access::default()), bench: Bench::open()? })
    }

    /// Installs the pack from `source`.
    pub fn install(&mut self, source: &str) -> Result<Installed, Failure> {
        let intake = self.store.intake()?;
        let Candidate { pack, record, voucher, .. } = self.candidate(&intake, source, Path::new(""), &Wanted::default())?;
        intake.install(&pack, &record)?;
        Ok(Installed { record, voucher })
    }

    /// Installs what the scenario in `path` needs: what is locked, and the newest of what is not locked yet, which is locked then.
    /// Nothing is installed unless all of it can be.
    pub fn install_for(&mut self, path: &Path) -> Result<Vec<Moved>, Failure> {
        let (scenario, lock_file) = packs_of(path)?;
        let intake = self.store.intake()?;
        let lock = Lock::read(&lock_file)?;
        let (mut moved, mut candidates) = (Vec::new(), Vec::new());
        for used in &scenario.packs {
            let before = lock.find(&used.name).cloned().filter(|locked| locked.source == used.from);
            let here = before.as_ref().map(|locked| self.store.record(&locked.digest)).transpose()?.flatten();
            if let (Some(locked), Some(_)) = (&before, here) {
                fits(used, &locked.version)?;
                let (name, locked) = (used.name.clone(), locked.clone());
                moved.push(Moved { name, before: Some(locked.clone()), locked, changes: Vec::new(), voucher: None });
                continue;
            }
            let wanted = Wanted { range: used.version.as_ref(), locked: before.as_ref() };
            let candidate = self.candidate(&intake, &used.from, scenario.source.folder_of(&used.pointer), &wanted)?;
            if let Some(locked) = before.as_ref().filter(|locked| locked.digest != candidate.record.digest) {
                return Err(other_bytes(path, used, locked, &candidate.record.digest));
            }
            moved.push(self.moved(used, before, &candidate)?);
            candidates.push(candidate);
        }
        self.finish(&intake, &candidates, &lock_file, &moved)?;
        Ok(moved)
    }

    /// Looks for newer versions of the packs `names` of the scenario in `path`, of all of them if none are named. What grew is installed
    /// and written to the lock only if the person has `agreed`.
    pub fn update_for(&mut self, path: &Path, names: &[String], agreed: bool) -> Result<Updated, Failure> {
        let (scenario, lock_file) = packs_of(path)?;
        if let Some(unknown) = names.iter().find(|name| scenario.packs.iter().all(|used| used.name != **name)) {
            return Err(Failure::Refused(format!("the scenario names no pack `{unknown}`")));
        }
        let intake = self.store.intake()?;
        let lock = Lock::read(&lock_file)?;
        let (mut packs, mut candidates) = (Vec::new(), Vec::new());
        for used in scenario.packs.iter().filter(|used| names.is_empty() || names.contains(&used.name)) {
            let before = lock.find(&used.name).cloned();
            let wanted = Wanted { range: used.version.as_ref(), locked: None };
            let candidate = self.candidate(&intake, &used.from, scenario.source.folder_of(&used.pointer), &wanted)?;
            let version = &candidate.record.version;
            let is_exact = used.version.as_ref().is_some_and(|range| range.to_string() == format!("={version}"));
            // Whoever controls the way to a registry may offer an old version whose mistakes are known, with a good signature.
            if let Some(locked) = before.as_ref().filter(|locked| locked.version > *version && !is_exact) {
                let message =
                    format!("`{}` offers {version}, and {} is locked: that would be a step back", used.from, locked.version);
                return Err(Failure::Refused(format!(
                    "{message}; if you want it, write `version: \"={version}\"` in the scenario"
                )));
            }
            packs.push(self.moved(used, before, &candidate)?);
            candidates.push(candidate);
        }
        let written = agreed || !packs.iter().any(Moved::needs_consent);
        if written {
            self.finish(&intake, &candidates, &lock_file, &packs)?;
        }
        Ok(Updated { packs, written })
    }

    fn moved(&self, used: &PackUse, before: Option<Locked>, candidate: &Candidate) -> Result<Moved, Failure> {
        let Candidate { pack, record, manifest, voucher } = candidate;
        fits(used, &record.version)?;
        let old = before.as_ref().map(|locked| self.store.record(&locked.digest)).transpose()?.flatten();
        let old = old.map(|record| self.store.pack(&record)).transpose()?;
        let reach = pack.manifest.reach();
        let changes = match (old, &before) {
            (Some(old), _) => diff(&old.manifest, &pack.manifest),
            // What the old one was is not known here, and what it asked for stands in the lock.
            (None, Some(before)) => grown(before.reach, reach),
            (None, None) => Vec::new(),
        };
        let same = before.as_ref().filter(|locked| locked.digest == record.digest);
        let locked = Locked {
            name: used.name.clone(),
            version: record.version.clone(),
            source: used.from.clone(),
            digest: record.digest,
            manifest: *manifest,
            reach,
            before: match same {
                Some(same) => same.before.clone(),
                None => before.as_ref().map(|locked| (locked.version.clone(), locked.reach)),
            },
        };
        Ok(Moved { name: used.name.clone(), locked, before, changes, voucher: Some(voucher.clone()) })
    }

    /// Installs `candidates` and writes what has `moved` to the lock in `file`, as it is by now: other commands may have written to it.
    fn finish(&self, intake: &Intake, candidates: &[Candidate], file: &Path, moved: &[Moved]) -> Result<(), Failure> {
        for candidate in candidates {
            intake.install(&candidate.pack, &candidate.record)?;
        }
        let _turn = intake.turn()?;
        let old = Lock::read(file)?;
        let mut lock = old.clone();
        for Moved { name, locked, before, .. } in moved {
            let by_another = |now: &&Locked| now.source == locked.source && now.digest != locked.digest;
            if old.find(name).filter(by_another).is_some_and(|now| before.as_ref() != Some(now)) {
                return Err(Failure::Refused(format!(
                    "another command has moved the lock of `{name}` meanwhile; run this one again"
                )));
            }
            lock.set(locked.clone());
        }
        if old != lock {
            lock.write(file)?;
        }
        Ok(intake.note_lock(file)?)
    }

    /// Finds the pack that is `wanted` of `source`, a folder seen from `base` or a reference, and tries it out.
    fn candidate(&mut self, intake: &Intake, source: &str, base: &Path, wanted: &Wanted<'_>) -> Result<Candidate, Failure> {
        let folder = base.join(source);
        if !is_folder(source) {
            return self.candidate_from_afar(intake, source, &folder, wanted);
        }
        let pack = in_folder(&self.bench, &folder, Projects::Built)?;
        let voucher = self.judge(&pack, &Origin::Folder, source)?;
        self.bench.examine(&pack)?;
        // Who lists packs stands somewhere else.
        let place = std::path::absolute(&folder).unwrap_or(folder);
        let record = match self.store.record(&pack.digest())?.filter(|known| known.repository.is_some()) {
            Some(known) => known.with_signatures(&pack.artifact.signatures),
            None => record(&pack, &place.display().to_string(), None, voucher.is_err()),
        };
        Ok(Candidate { pack, record, manifest: None, voucher })
    }

    /// The same from a registry: who vouches for it is asked before its files are fetched.
    fn candidate_from_afar(
        &mut self,
        intake: &Intake,
        source: &str,
        folder: &Path,
        wanted: &Wanted<'_>,
    ) -> Result<Candidate, Failure> {
        let reference: Reference = source.parse().map_err(|error| {
            let hint = if folder.exists() { "the folder of that name is written" } else { "a folder is written for example" };
            Failure::Refused(format!("{error}\n  hint: {hint} `./{source}`"))
        })?;
        let offer = self.offer(&reference, wanted)?;
        let pack = Pack::in_store(offer.artifact.clone(), &self.store)?;
        let voucher = self.judge(&pack, &Origin::Registry(reference.place()), source)?;
        remote::fetch(&self.registry, &offer, intake)?;
        self.bench.examine(&pack)?;
        let record = record(&pack, source, Some(reference.place()), voucher.is_err());
        Ok(Candidate { pack, record, manifest: offer.reference.digest(), voucher })
    }

    /// What is offered at `reference`: by the lock what was there when it was written, even if its tag leads elsewhere by now.
    fn offer(&self, reference: &Reference, wanted: &Wanted<'_>) -> Result<Offer, Failure> {
        let Some(locked) = wanted.locked else {
            return remote::look(&self.registry, &remote::newest(&self.registry, reference, wanted.range)?);
        };
        if let Some(manifest) = locked.manifest {
            match remote::look(&self.registry, &reference.pinned(manifest)) {
                // Some registries throw out what no tag leads to, and the same pack may have another manifest there, with more signatures.
                Err(Failure::Registry(error)) if error.code() == "not_found" => {}
                looked => return looked,
            }
        }
        let exact = format!("={}", locked.version).parse().ok();
        remote::look(&self.registry, &remote::newest(&self.registry, reference, exact.as_ref())?)
    }

    /// Who vouches for `pack`; the inner error is why nobody does, where it is taken all the same.
    fn judge(&self, pack: &Pack, origin: &Origin, source: &str) -> Result<Result<Voucher, String>, Failure> {
        let now = RealClock::start().epoch_unix_s();
        match self.policy.judge(origin, &pack.manifest, &pack.artifact, Some(now)) {
            Ok(voucher) => Ok(Ok(voucher)),
            Err(reason @ Distrust::Unknown(_)) if self.insecure => Ok(Err(reason.to_string())),
            Err(reason @ Distrust::Unknown(_)) => {
                let hint = "add its publisher's key to `trust.toml`, or take it with `--insecure` if you know what you do";
                Err(Failure::Refused(format!("the pack from `{source}` is not taken: {reason}\n  hint: {hint}")))
            }
            Err(reason) => Err(Failure::Refused(format!("the pack from `{source}` is not taken: {reason}"))),
        }
    }
}

/// Does a person mean a folder by `source`? What it looks like decides, and never what happens to be there: a folder that is called as a
/// registry is needs no signature.
fn is_folder(source: &str) -> bool {
    source.starts_with('.') || source.starts_with('/')
}

fn record(pack: &Pack, source: &str, repository: Option<String>, insecure: bool) -> Record {
    Record {
        digest: pack.digest(),
        name: pack.manifest.name.clone(),
        version: pack.manifest.version.clone(),
        source: source.to_owned(),
        repository,
        insecure,
        signatures: pack.artifact.signatures.clone(),
    }
}

/// The scenario in `path`, whose `packs:` must be right, and its lock's file. What else is wrong with it matters later.
fn packs_of(path: &Path) -> Result<(Scenario, PathBuf), Failure> {
    let refused = |refusal: Refusal| Failure::Flawed(Flaws::from(refusal));
    let draft = read::read(path).map_err(refused)?;
    let of_packs: Vec<_> = draft.problems.iter().filter(|problem| problem.pointer.starts_with("/packs")).cloned().collect();
    if !of_packs.is_empty() {
        return Err(refused(Refusal::of(&draft.scenario.source, of_packs)));
    }
    let none = || Failure::Refused(format!("`{}` names no packs; they stand under `packs:`", path.display()));
    let lock = lock_of(&draft.scenario).ok_or_else(none)?;
    Ok((draft.scenario, lock))
}

fn fits(used: &PackUse, version: &Version) -> Result<(), Failure> {
    match used.version.as_ref().filter(|range| !range.matches(version)) {
        None => Ok(()),
        Some(range) => {
            let message = format!("the pack `{}` from `{}` is {version}, which `{range}` leaves out", used.name, used.from);
            Err(Failure::Refused(message))
        }
    }
}

fn other_bytes(path: &Path, used: &PackUse, locked: &Locked, found: &Digest) -> Failure {
    let Locked { version, digest, .. } = locked;
    let message =
        format!("`{}` has other bytes than the lock says: {version} is locked as `{digest}`, and this is `{found}`", used.from);
    let hint = format!("`simwright pack update {} {}` shows what differs", path.display(), used.name);
    Failure::Refused(format!("{message}\n  hint: {hint}"))
}

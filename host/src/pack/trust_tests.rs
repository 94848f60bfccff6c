use super::*;
use crate::pack::samples::pack;
use crate::pack::signature::{new_key, sign};
use crate::pack::whole::Pack;

const PLACE: &str = "ghcr.io/acme/packs";
const NOW: u64 = 1_800_000_000;

struct Publisher {
    public: String,
    secret: String,
}

impl Publisher {
    fn new() -> Self {
        let (public, secret) = new_key().expect("a key");
        Self { public: public.lines().nth(1).expect("a key").to_owned(), secret }
    }

    fn signed(&self, mut pack: Pack, expires: Option<u64>) -> Pack {
        let (_, signature) = sign(&pack.manifest, &pack.artifact.config, &self.secret, None, expires).expect("signed");
        pack.artifact.signatures.push(signature);
        pack
    }

    fn policy(&self, more: &str) -> Policy {
        let text = format!("[[publisher]]\nname = \"Acme\"\nkeys = [\"{}\"]\nplaces = [\"ghcr.io/acme/*\"]\n{more}", self.public);
        Policy::parse("trust.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }
}

fn judge(policy: &Policy, place: &str, pack: &Pack) -> Result<Voucher, String> {
    policy
        .judge(&Origin::Registry(place.to_owned()), &pack.manifest, &pack.artifact, Some(NOW))
        .map_err(|error| error.to_string())
}

/// K3 of the catalogue, apart from what a registry and an update see: rollbacks, and layers and indices beside the manifest.
#[test]
fn one_good_signature_is_accepted_and_each_bad_one_refused() {
    let (acme, other) = (Publisher::new(), Publisher::new());
    let policy = acme.policy("");
    let good = acme.signed(pack("acme", "1.2.0", b"component"), Some(NOW + 1));
    let Ok(Voucher::Publisher { name, key_id }) = judge(&policy, PLACE, &good) else { panic!("good") };
    assert_eq!((name.as_str(), &key_id), ("Acme", &signature::key_id(&good.artifact.signatures[0]).expect("an id")));

    let bare = || pack("acme", "1.2.0", b"component");
    let with = |signature: String| {
        let mut pack = bare();
        pack.artifact.signatures.push(signature);
        pack
    };
    let text = good.artifact.signatures[0].clone();
    let lines: Vec<&str> = text.lines().collect();
    let flipped = |line: usize, at: usize| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        let old = lines[line].remove(at);
        lines[line].insert(at, if old == 'A' { 'B' } else { 'A' });
        lines.join("\n")
    };
    let over_a_tag = {
        let key = minisign::SecretKeyBox::from_string(&acme.secret).and_then(minisign::SecretKeyBox::into_unencrypted_secret_key);
        let comment = Some("pack:acme\tversion:1.2.0");
        minisign::sign(None, &key.expect("a key"), &b"ghcr.io/acme/packs:1.2.0"[..], comment, None).expect("signed").into_string()
    };
    let cases = [
        ("none", bare(), "has no signature"),
        ("wrong key", other.signed(bare(), None), "is not in `trust.toml`"),
        (
            "over another digest",
            with(acme.signed(pack("acme", "1.2.0", b"evil"), None).artifact.signatures.remove(0)),
            "not one of these bytes",
        ),
        (
            "of another pack",
            with(acme.signed(pack("zeta", "1.2.0", b"component"), None).artifact.signatures.remove(0)),
            "not one of these bytes",
        ),
        (
            "of an older version",
            with(acme.signed(pack("acme", "1.1.0", b"component"), None).artifact.signatures.remove(0)),
            "not one of these bytes",
        ),
        ("expired", acme.signed(bare(), Some(NOW)), "has expired"),
        ("empty", with(String::new()), "four lines"),
        ("algorithm unknown", with(flipped(1, 1)), "algorithm is not known"),
        ("another comment", with(text.replace("version:1.2.0", "version:1.3.0")), "not one of these bytes"),
        ("a later end", with(text.replace("expires:1800000001", "expires:1900000001")), "not one of these bytes"),
        ("bits", with(flipped(1, 40)), "not one of these bytes"),
        ("over a tag", with(over_a_tag), "not one of these bytes"),
        ("with a log entry", with(format!("{text}\n{{\"logIndex\":1}}\n")), "four lines"),
        (
            "with a key of its own",
            with(format!("untrusted comment: minisign public key\n{}\n{text}", other.public)),
            "four lines",
        ),
    ];
    for (case, pack, part) in cases {
        let refused = judge(&policy, PLACE, &pack).expect_err(case);
        assert!(refused.contains(part), "{case}: {refused}");
    }
}

/// The order of signatures is that of file names, or of whoever pushed them.
#[test]
fn what_signatures_say_together_does_not_depend_on_their_order() {
    let (acme, zeta, stranger) = (Publisher::new(), Publisher::new(), Publisher::new());
    let more = format!("[[publisher]]\nname = \"Zeta\"\nkeys = [\"{}\"]\nplaces = [\"r.io/zeta/*\"]\n", zeta.public);
    let policy = acme.policy(&more);
    let bare = || pack("acme", "1.2.0", b"component");
    let of = |publisher: &Publisher, pack: Pack, expires| publisher.signed(pack, expires).artifact.signatures.remove(0);
    let other = || pack("acme", "1.1.0", b"component");
    let good = of(&acme, bare(), None);
    let cases = [
        ("one of other bytes by the same publisher", of(&acme, other(), None), Some("is bad")),
        ("one of other bytes by another publisher", of(&zeta, other(), None), Some("is bad")),
        ("one that has expired", of(&acme, bare(), Some(NOW)), None),
        ("one by a publisher of other places", of(&zeta, bare(), None), None),
        ("one by a stranger", of(&stranger, other(), None), None),
        ("one that is none", String::new(), None),
    ];
    for (case, second, refused) in cases {
        for signatures in [[&good, &second], [&second, &good]] {
            let mut pack = bare();
            pack.artifact.signatures = signatures.map(Clone::clone).to_vec();
            match (judge(&policy, PLACE, &pack), refused) {
                (Ok(Voucher::Publisher { name, .. }), None) => assert_eq!(name, "Acme", "{case}"),
                (Err(reason), Some(part)) => assert!(reason.contains(part), "{case}: {reason}"),
                (judged, _) => panic!("{case}: {judged:?}"),
            }
        }
    }
    // That it was good once is no proof against its publisher.
    let mut expired = bare();
    expired.artifact.signatures = vec![of(&acme, bare(), Some(NOW))];
    let origin = Origin::Registry(PLACE.to_owned());
    let judged = policy.judge(&origin, &expired.manifest, &expired.artifact, Some(NOW));
    assert!(matches!(&judged, Err(Distrust::Unknown(reason)) if reason.contains("has expired")), "{judged:?}");
}

#[test]
fn an_unknown_algorithm_and_the_old_kind_without_a_hash_are_refused() {
    use base64::Engine;
    let acme = Publisher::new();
    let good = acme.signed(pack("acme", "1.2.0", b"component"), None);
    let text = good.artifact.signatures[0].clone();
    let line = text.lines().nth(1).expect("a signature");
    let mut bytes = base64::prelude::BASE64_STANDARD.decode(line).expect("base64");
    for (algorithm, part) in [(b"XX", "algorithm is not known"), (b"Ed", "old kind")] {
        bytes[..2].copy_from_slice(algorithm);
        let mut spoilt = good.clone();
        spoilt.artifact.signatures = vec![text.replace(line, &base64::prelude::BASE64_STANDARD.encode(&bytes))];
        let refused = judge(&acme.policy(""), PLACE, &spoilt).expect_err(part);
        assert!(refused.contains(part), "{refused}");
    }
}

#[test]
fn a_policy_pins_places_packs_and_digests() {
    let acme = Publisher::new();
    let good = acme.signed(pack("acme", "1.2.0", b"component"), None);
    let other = pack("acme", "1.2.1", b"component").digest();
    assert!(judge(&acme.policy(""), "ghcr.io/acme-evil/packs", &good).expect_err("a place").contains("may not publish"));
    assert!(judge(&acme.policy("packs = [\"zeta\"]"), PLACE, &good).is_err());
    assert!(judge(&acme.policy("packs = [\"ac*\"]"), PLACE, &good).is_ok());
    assert!(judge(&acme.policy(&format!("digests = [\"{other}\"]")), PLACE, &good).is_err());
    assert!(judge(&acme.policy(&format!("digests = [\"{}\"]", good.digest())), PLACE, &good).is_ok());
}

#[test]
fn without_a_policy_registries_are_not_trusted_and_folders_are_ones_own() {
    let (acme, unsigned) = (Publisher::new(), pack("acme", "1.2.0", b"component"));
    let nobody = Policy::default();
    let of_folder = |policy: &Policy, pack: &Pack| policy.judge(&Origin::Folder, &pack.manifest, &pack.artifact, Some(NOW));
    assert!(judge(&nobody, PLACE, &acme.signed(unsigned.clone(), None)).is_err());
    assert_eq!(of_folder(&nobody, &unsigned), Ok(Voucher::Nobody));
    let parse = |text: &str| Policy::parse("trust.toml", text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(of_folder(&parse("folders = \"required\""), &unsigned).is_err());
    assert_eq!(judge(&parse("unsigned = [\"localhost:5000/*\"]"), "localhost:5000/acme", &unsigned), Ok(Voucher::Nobody));
    // A signature that is bad is no better than none, even where none is needed.
    let mut tampered = acme.signed(unsigned, None);
    tampered.artifact.config.push(b'\n');
    assert!(matches!(of_folder(&acme.policy(""), &tampered), Err(Distrust::Bad(_))));
}

#[test]
fn a_start_does_not_fail_because_time_has_passed() {
    let acme = Publisher::new();
    let expired = acme.signed(pack("acme", "1.2.0", b"component"), Some(NOW - 1));
    let origin = Origin::Registry(PLACE.to_owned());
    assert!(acme.policy("").judge(&origin, &expired.manifest, &expired.artifact, None).is_ok());
}

#[test]
fn mistakes_in_a_policy_are_told_with_their_places_and_nobody_is_trusted() {
    let text =
        "folders = \"always\"\n\n[[publisher]]\nname = \"Acme\"\nkeys = [\"RWshort\"]\nplaces = [\"ghcr.io/acme*\", \"a*b\"]\n";
    let mistakes = Policy::parse("trust.toml", text).expect_err("mistakes").to_string();
    for part in ["trust.toml:1:11", "trust.toml:5:8", "trust.toml:6:10", "write `ghcr.io/acme/*`", "`*` stands at its end"] {
        assert!(mistakes.contains(part), "{part}: {mistakes}");
    }
}

#[test]
fn the_tool_minisign_and_this_program_say_the_same() {
    let Ok(found) = std::process::Command::new("minisign").arg("-v").output() else {
        assert!(std::env::var_os("CI").is_none(), "`minisign` is missing; install it with `apt-get install minisign`");
        return;
    };
    assert!(found.status.success());
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new("minisign");
        command.args(arguments).current_dir(folder.path()).output().expect("it runs")
    };
    // Its keys sign here, and it verifies what they signed.
    assert!(run(&["-G", "-W", "-p", "tool.pub", "-s", "tool.key"]).status.success());
    let read = |name: &str| std::fs::read_to_string(file(name)).expect("text");
    let mut pack = pack("acme", "1.2.0", b"component");
    let (id, signature) = sign(&pack.manifest, &pack.artifact.config, &read("tool.key"), None, None).expect("signed");
    std::fs::write(file("pack.json"), &pack.artifact.config).expect("written");
    std::fs::write(file("pack.json.minisig"), &signature).expect("written");
    let verified = run(&["-V", "-m", "pack.json", "-p", "tool.pub"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    // Also with a key that has a password.
    let (public, encrypted) = {
        let pair = minisign::KeyPair::generate_encrypted_keypair(Some("secret".to_owned())).expect("a key");
        (pair.pk.to_box().expect("a box").into_string(), pair.sk.to_box(None).expect("a box").into_string())
    };
    let sign_with =
        |password: Option<&str>| sign(&pack.manifest, &pack.artifact.config, &encrypted, password.map(str::to_owned), None);
    assert!(sign_with(None).expect_err("closed").contains("SIMWRIGHT_KEY_PASSWORD"));
    assert!(sign_with(Some("guess")).expect_err("closed").contains("Wrong password"));
    let key = Key::parse(&public).expect("a key");
    assert_eq!(sign_with(Some("secret")).expect("opened").0, key.id());
    // And what it signs is verified here.
    assert!(run(&["-S", "-s", "tool.key", "-m", "pack.json"]).status.success());
    pack.artifact.signatures = vec![read("pack.json.minisig")];
    let key = Key::parse(&read("tool.pub")).expect("a key");
    assert_eq!(key.id(), id);
    signature::verify(&pack.artifact.signatures[0], &key, &pack.manifest, &pack.artifact.config, None).expect("good");
}

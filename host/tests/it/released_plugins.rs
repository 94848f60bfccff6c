//! Plugins of released versions of the contract go on working: bytes that are never built anew, with what they decided then.

use std::path::PathBuf;

use simwright::vectors::{check, read};
use simwright::wasm::{LoadSpec, Meter, PluginHost, PluginHostConfig, default_folder};

use super::support::guests::workspace;
use super::support::host::compiler;

/// A component, with what it decides and how many cases were recorded of it.
type Released = (&'static str, &'static [&'static str], usize);

/// The components by version.
const RELEASED: [(&str, &[Released]); 1] = [(
    "1.0.0",
    &[
        ("full", &["fault", "responder", "latency"], 57),
        ("session-affinity", &["balancer"], 8),
        ("queue-scaler", &["autoscaler"], 8),
    ],
)];

fn folder(version: &str) -> PathBuf {
    workspace().join("host/tests/data").join(format!("contract-{version}"))
}

#[test]
fn released_plugins_decide_what_they_decided_when_they_were_released() {
    for meter in [Meter::Fuel, Meter::Cpu] {
        let config = PluginHostConfig { cache_dir: default_folder(), workers: 1, meter, compiler: compiler() };
        let host = PluginHost::new(config).expect("a plugin host");
        for (version, plugins) in RELEASED {
            for (name, kinds, cases) in plugins {
                let bytes = std::fs::read(folder(version).join(format!("{name}.wasm"))).expect("a component");
                let plugin = host.load(LoadSpec::new(name, &bytes)).unwrap_or_else(|error| panic!("{name}: {error}"));
                let decides: Vec<&str> = plugin.kinds().into_iter().map(|kind| kind.word()).collect();
                assert_eq!((&decides[..], plugin.interface()), (*kinds, format!("simwright:plugin@{version}")), "{name}");
                let about = plugin.about();
                assert!(!about.name.is_empty() && about.version == "0.1.0" && !about.options_schema.is_empty(), "{about:?}");
                let suite = read::read(&[folder(version).join(format!("{name}.yaml"))]);
                let report = check(&plugin, &suite.unwrap_or_else(|refusal| panic!("{refusal}"))).expect("it runs");
                assert!(report.is_good(), "{name}, {meter:?}:\n{}", report.text());
                assert_eq!(report.cases.len(), *cases, "{name}: nothing that was recorded is left out");
            }
        }
    }
}

/// No folder is left out of the test above, and a fixture is small.
#[test]
fn every_released_version_is_among_the_fixtures() {
    let data = std::fs::read_dir(workspace().join("host/tests/data")).expect("a folder").flatten();
    let names = data.filter_map(|entry| entry.file_name().into_string().ok());
    let mut versions: Vec<String> = names.filter_map(|name| name.strip_prefix("contract-").map(str::to_owned)).collect();
    versions.sort();
    assert_eq!(versions, RELEASED.map(|(version, _)| version));
    for version in versions {
        let files = std::fs::read_dir(folder(&version)).expect("a folder").flatten();
        let bytes: u64 = files.map(|entry| entry.metadata().expect("a file").len()).sum();
        assert!(bytes < 500_000, "{version}: {bytes} bytes");
    }
}

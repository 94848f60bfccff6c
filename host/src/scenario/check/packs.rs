//! `packs:`, what other teams have published: from where, in which versions, and what it is granted.

use semver::VersionReq;
use serde_json::Value;

use crate::pack::title::fault_of_name;
use crate::scenario::PackUse;
use crate::types::capability::{Capabilities, Capability, Reach};
use crate::types::fields::{Fields, escape, kind_of};
use crate::types::limits::{GUEST_MEMORY_CEILING_BYTES, GUEST_WALL_US, SCENARIO_PACKS_MAX};
use crate::types::problem::Problem;
use crate::types::quantity::{parse_bytes, parse_duration_us};

const HINT: &str = "write for example `acme: { from: ./packs/acme, version: \"^1.2\", grant: [request, memory: 64MiB] }`";

/// Reads `packs:` of the scenario in `fields`. An entry with a mistake is left out.
pub(super) fn check(fields: &mut Fields<'_>) -> Vec<PackUse> {
    let map = match fields.value("packs") {
        None => return Vec::new(),
        Some(Value::Object(map)) => map,
        Some(other) => {
            let message = format!("expected a map from names to packs, found {}", kind_of(other));
            fields.extend(vec![Problem::new(fields.pointer("packs"), message).hint(HINT)]);
            return Vec::new();
        }
    };
    if map.len() > SCENARIO_PACKS_MAX {
        fields.problem("packs", format!("there are {} packs, and a scenario may name {SCENARIO_PACKS_MAX}", map.len()));
        return Vec::new();
    }
    let pointer = fields.pointer("packs");
    let mut packs = Vec::new();
    for (name, value) in map {
        let (pack, problems) = pack(name, value, &format!("{pointer}/{}", escape(name)));
        fields.extend(problems);
        packs.extend(pack);
    }
    packs
}

fn pack(name: &str, value: &Value, pointer: &str) -> (Option<PackUse>, Vec<Problem>) {
    let mut fields = Fields::of(value, pointer);
    if let Some(message) = fault_of_name(name) {
        fields.extend(vec![Problem::new(pointer, message).at_key()]);
    }
    fields.require("from");
    let from = fields.text("from").map(str::trim);
    if from == Some("") {
        fields.problem("from", "expected a folder such as `./packs/acme`, or a reference such as `ghcr.io/acme/packs`");
    }
    let from = from.unwrap_or("");
    let version = fields.text("version").and_then(|text| match text.parse::<VersionReq>() {
        Ok(version) => Some(version),
        Err(error) => {
            let problem = Problem::new(fields.pointer("version"), format!("`{text}` is no range of versions: {error}"));
            fields.extend(vec![problem.hint("write for example `^1.2`, or `=1.2.0` for exactly this one")]);
            None
        }
    });
    let granted = grant(&mut fields);
    let pack = PackUse { name: name.to_owned(), from: from.to_owned(), version, granted, pointer: pointer.to_owned() };
    let problems = fields.finish();
    (problems.is_empty().then_some(pack), problems)
}

/// `grant: [request, memory: 64MiB]`.
fn grant(fields: &mut Fields<'_>) -> Reach {
    let mut reach = Reach::default();
    let mut capabilities = Vec::new();
    for (index, item) in fields.list("grant").iter().enumerate() {
        let granted = match item {
            Value::String(word) => word.parse::<Capability>().map(|capability| capabilities.push(capability)),
            Value::Object(map) if map.len() == 1 => map.iter().try_for_each(|(name, value)| limit(&mut reach, name, value)),
            other => Err(format!("expected a capability or a limit, found {}", kind_of(other))),
        };
        if let Err(message) = granted {
            let problem = Problem::new(format!("{}/{index}", fields.pointer("grant")), message);
            fields.extend(vec![problem.hint("grants are `request`, `state`, `log`, `memory: 64MiB` and `time: 50ms`")]);
        }
    }
    reach.capabilities = capabilities.into_iter().collect::<Capabilities>();
    reach
}

fn limit(reach: &mut Reach, name: &str, value: &Value) -> Result<(), String> {
    let text = value.as_str().ok_or_else(|| format!("expected a text such as `64MiB`, found {}", kind_of(value)))?;
    match name {
        "memory" => {
            reach.memory_bytes = parse_bytes(text)?;
            let most = GUEST_MEMORY_CEILING_BYTES as u64;
            if reach.memory_bytes > most { Err(format!("no plugin may have more than {}MiB", most >> 20)) } else { Ok(()) }
        }
        "time" => {
            reach.time_us = parse_duration_us(text)?;
            if reach.time_us > GUEST_WALL_US {
                Err(format!("no plugin may have more than {}ms", GUEST_WALL_US / 1_000))
            } else {
                Ok(())
            }
        }
        other => Err(format!("`{other}` is no limit")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> (Vec<PackUse>, Vec<Problem>) {
        let mut fields = Fields::of(value, "");
        let packs = check(&mut fields);
        (packs, fields.finish())
    }

    #[test]
    fn a_pack_is_read_with_what_it_is_granted() {
        let value = json!({"packs": {"acme": {"from": "./packs/acme", "version": "^1.2", "grant": ["request", {"memory": "64MiB"}, {"time": "50ms"}]}, "b": {"from": "ghcr.io/b"}}});
        let (packs, problems) = read(&value);
        assert_eq!(problems, []);
        let [acme, b] = &packs[..] else { panic!("two packs") };
        assert_eq!(acme.granted.beyond(Reach::default()), ["request", "memory: 64MiB", "time: 50ms"]);
        assert!(acme.version.as_ref().is_some_and(|range| range.matches(&semver::Version::new(1, 9, 0))));
        assert_eq!((b.granted, &b.version), (Reach::default(), &None));
    }

    #[test]
    fn every_mistake_has_its_place() {
        let (packs, problems) = read(&json!({"packs": {
            "Acme": {"from": "./a"}, "b": {"version": "new"}, "c": {"from": 3, "grant": ["requests", {"memory": "1TiB"}, {"cpu": "1"}, 4]}, "d": "./d",
        }}));
        assert!(packs.is_empty());
        let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
        let expected = ["/packs/Acme", "/packs/b", "/packs/b/version", "/packs/c/from"];
        assert_eq!(pointers[..4], expected);
        assert_eq!(
            pointers[4..],
            ["/packs/c/grant/0", "/packs/c/grant/1", "/packs/c/grant/2", "/packs/c/grant/3", "/packs/d", "/packs/d"]
        );
    }
}

//! The section `workload:` of a scenario becomes a [`Workload`]; every mistake is noted, and what is right is read in spite of it.
//!
//! `arrivals` (in [`arrivals`]) is where the requests of all `classes` (in [`classes`]) come from, except of those classes that have
//! `arrivals` of their own. `client` (in [`client`]) is what is done about failures; `requests` and `until` bound the run. [`schema`]
//! tells editors all this.

use std::path::Path;

use serde_json::Value;

use crate::types::fields::Fields;
use crate::types::limits::{WORKLOAD_REQUESTS_MAX, WORKLOAD_USERS_MAX};
use crate::types::problem::Problem;
use crate::workload::client::Client;
use crate::workload::{Arrivals, Source, Workload};

mod arrivals;
mod classes;
mod client;
pub mod schema;

/// The name of the source of all classes that have none of their own.
pub const SHARED_SOURCE: &str = "*";

/// Says for a JSON pointer where relative paths start that stand there.
pub type Folders<'a> = &'a dyn Fn(&str) -> &'a Path;

/// Reads the section `value`, which lies at `pointer`.
pub fn read(value: &Value, pointer: &str, folders: Folders<'_>) -> Result<Workload, Vec<Problem>> {
    let mut fields = Fields::of(value, pointer);
    let coming = fields.value("arrivals").map(arrivals::coming);
    let shared = arrivals::read(&mut fields, "arrivals", folders);
    let classes::Read { classes, own, tenants } = classes::read(&mut fields, coming, folders);
    let client = match fields.value("client") {
        None => Client::default(),
        Some(value) => client::read(value, &fields.pointer("client")).unwrap_or_else(|problems| {
            fields.extend(problems);
            Client::default()
        }),
    };
    let requests = fields.integer("requests", 1..=WORKLOAD_REQUESTS_MAX);
    let until = fields.duration_us("until").map(|us| us.saturating_mul(1_000));
    if until == Some(0) {
        fields.problem("until", "nothing comes before `until: 0`; give for example `1h`");
    }
    let sources = sources(&mut fields, shared, own, &classes);
    check_users(&mut fields, &sources);
    let problems = fields.finish();
    if problems.is_empty() { Ok(Workload { classes, sources, tenants, client, requests, until }) } else { Err(problems) }
}

/// The shared source with the classes that have no arrivals of their `own`, then those.
fn sources(
    fields: &mut Fields<'_>,
    shared: Option<Arrivals>,
    own: Vec<Option<Arrivals>>,
    classes: &[super::Class],
) -> Vec<Source> {
    let without: Vec<u32> = (0..).zip(&own).filter(|(_, own)| own.is_none()).map(|(index, _)| index).collect();
    let mut sources = Vec::new();
    if let Some(arrivals) = shared {
        if without.is_empty() && !classes.is_empty() {
            fields.problem("arrivals", "every class has `arrivals` of its own, so nobody comes from here; leave one of them out");
        }
        sources.push(Source { name: SHARED_SOURCE.to_owned(), arrivals, classes: without });
    }
    for ((index, arrivals), class) in (0..).zip(own).zip(classes) {
        sources.extend(arrivals.map(|arrivals| Source { name: class.name.clone(), arrivals, classes: vec![index] }));
    }
    sources
}

fn check_users(fields: &mut Fields<'_>, sources: &[Source]) {
    let users_of = |source: &Source| match source.arrivals {
        Arrivals::Closed { users, .. } => u64::from(users),
        _ => 0,
    };
    let users: u64 = sources.iter().map(users_of).sum();
    if users > WORKLOAD_USERS_MAX {
        fields.problem("arrivals", format!("these are {users} closed users, and a workload may have {WORKLOAD_USERS_MAX}"));
    }
}

#[cfg(test)]
mod tests;

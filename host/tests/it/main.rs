//! Simwright from outside: the real server on port 0, looked at through its sockets.
#![allow(clippy::disallowed_methods, reason = "tests may look at the machine's clock")]
#![allow(missing_docs, unreachable_pub, reason = "nobody imports a test")]

/// Starts the server and speaks to it.
mod support;

/// What `/metrics`, `/healthz` and `/readyz` say.
mod admin;
/// Requests that cannot be understood, to every vendor.
mod bad_requests;
/// Components are compiled in a process with limits.
mod compiler;
/// One plugin in four languages.
mod conformance;
/// Runs judged by their criteria, and clients by their conduct.
mod criteria;
/// The decision log, and what is planned again from it.
mod decisions;
/// Each vendor's dialect on the wire.
mod dialects;
/// The packs in `examples/packs`, made as their authors would.
mod example_packs;
/// Every folder in `examples/` checks and answers.
mod examples;
/// Every native fault in every dialect, against the tables and the bytes that are kept of them.
mod fault_table;
/// Every native fault, on the bytes of HTTP/1.1.
mod faults;
/// Scenarios with random mistakes.
mod fuzz;
/// Groups of replicas with plugins: who takes a request, and how many there are.
mod groups;
/// Plugins that mean harm, behind the real server.
mod hostile;
/// HTTP/2 in clear text: streams side by side, cuts, clients that leave, draining.
mod http2;
/// Keep-alives of silent streams.
mod keep_alive;
/// Laws of delay: files, prompts, pauses.
mod latency;
/// Measured runs of real servers, predicted by the replica.
mod measured_runs;
/// The same requests in another order, side by side, in another server.
mod order;
/// Packs from a folder or a registry to a scenario that uses them.
mod packs;
/// Pictures of what plugins do.
mod pictures;
/// Faults that plugins ask for.
mod plugin_faults;
/// A folder of plugins that is followed.
mod plugin_watch;
/// Plugins behind the real server.
mod plugins;
/// New plugin projects, built by the tools of their languages.
mod projects;
/// Tiers and limits, as their tenants meet them.
mod quotas;
/// What the READMEs promise.
mod readme;
/// Plugins of released versions of the contract.
mod released_plugins;
/// New generations: saved files, plugins that come later, streams that go on.
mod reload;
/// Changes by the admin door: scenarios, components, rollbacks, trials.
mod reload_admin;
/// Bad scenarios between good ones.
mod reload_bad;
/// Changes that are tried on a share of the requests first.
mod reload_canary;
/// The ways in which files change on real machines.
mod reload_files;
/// Reloads under load.
mod reload_load;
/// Reloads of a server in a process of its own: memory, a full disk.
mod reload_outside;
/// Reloads beside slow compilers, looping plugins, many writers, and at the server's end.
mod reload_trouble;
/// Every native responder through the real server, and the examples of its documentation.
mod responders;
/// What is planned is what clients of every dialect read back.
mod round_trip;
/// Conditions, scripts, incidents and phases, as clients and operators meet them.
mod scenario_language;
/// The JSON Schema of scenarios, and what is shown to users.
mod schema;
/// Scenarios in virtual time, with plugins.
mod simulate;
/// The plugins that every copy of the program carries.
mod standard_pack;
/// Pipelines and stations: waiting, batches, refusals, reloads.
mod stations;
/// Streams: pacing, cuts, clients that leave, draining.
mod streaming;
/// Floors, sizes, names: the rules of the house.
mod tidy;
/// The picture of what becomes of calls of tools.
mod tool_picture;
/// The tutorial, as a reader follows it.
mod tutorial;
/// OpenAI's wire format.
mod wire;
/// Who asks what and when: the document, and mistakes in recordings.
mod workload;

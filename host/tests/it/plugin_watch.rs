//! A server that follows a folder of plugins: what is saved there answers, and what is wrong there does not.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use simwright::project::{Lang, Project, Template};
use tempfile::TempDir;

use super::support::client;
use super::support::guests::{adversary, target_dir};
use super::support::host::{TestHost, ask, eventually, sooner_or_later};
use super::support::process::{interrupt, runs, waiting_cargo};

/// A scenario whose answers are those of `plugin`, which it declares if `plugins` says so.
fn scenario(plugin: &str, plugins: &str) -> String {
    format!("simwright: 1\n{plugins}models:\n  - {{ match: said, latency: {{ constant: {{}} }}, reply: {{ {plugin}: {{}} }} }}\n")
}

/// The adversary with another word of the same length in it.
fn guest(word: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(adversary()).expect("a component");
    let places: Vec<usize> = memchr::memmem::find_iter(&bytes, "word ").collect();
    assert!(!places.is_empty() && word.len() == 5);
    places.into_iter().for_each(|at| bytes[at..at + 5].copy_from_slice(word.as_bytes()));
    bytes
}

fn said(host: &TestHost) -> String {
    let reply = host.chat(&ask("said", "x"));
    reply.json()["choices"][0]["message"]["content"].as_str().unwrap_or_else(|| panic!("{}", reply.text())).to_owned()
}

fn get(host: &TestHost, path: &str) -> Value {
    client::send(host.admin, "GET", path, &[], b"").json()
}

/// The newest refusal.
fn refusal(host: &TestHost) -> Value {
    get(host, "/generations").pointer("/refusals/0").cloned().unwrap_or_default()
}

/// Lets projects in `folder` be built below the target directory in `name`, so that a second run finds the SDK built.
fn build_in(name: &str, folder: &TempDir) {
    let target = target_dir().join(name);
    std::fs::create_dir(folder.path().join(".cargo")).expect("made");
    let config = format!("[build]\ntarget-dir = {:?}\n", std::path::absolute(target).expect("a path"));
    std::fs::write(folder.path().join(".cargo/config.toml"), config).expect("written");
}

fn replace(file: &Path, bytes: &[u8]) {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, bytes).expect("written");
    std::fs::rename(fresh, file).expect("renamed");
}

#[test]
fn a_component_in_the_folder_answers_by_its_files_name_and_a_replaced_one_is_swapped() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plugins/some_guest.wasm");
    std::fs::create_dir(folder.path().join("plugins")).expect("made");
    std::fs::write(&file, guest("word ")).expect("written");
    std::fs::write(folder.path().join("scenario.yaml"), scenario("some-guest", "")).expect("written");
    let host = TestHost::start_following(folder, "plugins");
    let digest = || get(&host, "/plugins")["plugins"][0]["digest"].take();
    let first = digest();
    assert!(first.as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{first}");

    replace(&file, &guest("noun "));
    sooner_or_later("the replaced component answers", || host.app().generation() == 2);
    assert_ne!(digest(), first);
    assert_eq!(get(&host, "/generations")["generations"][0]["cause"], "a followed plugin, `some-guest`");

    replace(&file, b"no component");
    eventually("a broken component is refused", || !refusal(&host).is_null());
    let told = refusal(&host);
    assert_eq!(told["kind"], "refused");
    assert_eq!(told["problems"][0]["path"], "/models/0/reply/some-guest", "where it is used, as nothing declares it: {told}");
    assert_eq!(host.app().generation(), 2);
    assert!(!said(&host).is_empty(), "what ran goes on");

    // A newcomer can be used as soon as it lies there; the scenario is refused before, and taken then.
    replace(&file, &guest("noun "));
    std::fs::write(host.scenario_file(), scenario("late", "")).expect("written");
    eventually("an unknown name is refused", || refusal(&host)["reason"].as_str().is_some_and(|reason| reason.contains("late")));
    replace(&file.with_file_name("late.wasm"), &guest("verb "));
    sooner_or_later("the newcomer answers", || get(&host, "/plugins")["plugins"][0]["name"] == "late");
    assert_eq!(host.app().generation(), 3);
}

#[test]
fn a_plugin_that_is_taken_out_gives_its_name_back_and_one_of_the_same_name_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).expect("made");
    std::fs::write(plugins.join("some_guest.wasm"), guest("word ")).expect("written");
    std::fs::write(plugins.join("spare.wasm"), guest("spare")).expect("written");
    std::fs::write(folder.path().join("own.wasm"), guest("verb ")).expect("written");
    let declared = "plugins: { some-guest: { file: ./own.wasm } }\n";
    std::fs::write(folder.path().join("scenario.yaml"), scenario("some-guest", declared)).expect("written");
    let host = TestHost::start_following(folder, "plugins");
    let from = || get(&host, "/plugins")["plugins"][0]["from"].as_str().map(str::to_owned).unwrap_or_default();
    assert!(from().ends_with("plugins/some_guest.wasm"), "{}", from());

    // `some-guest.wasm` and `some_guest.wasm` are one name.
    replace(&plugins.join("some-guest.wasm"), &guest("noun "));
    eventually("the second of a name is refused", || refusal(&host)["kind"] == "not-built");
    let reason = refusal(&host)["reason"].take();
    let says = |part: &str| reason.as_str().is_some_and(|reason| reason.contains(part));
    assert!(says("some-guest.wasm` has the name of") && says("some_guest.wasm`, which keeps it"), "{reason}");
    assert_eq!(host.app().generation(), 1);

    // Its name is free when the first is gone.
    std::fs::remove_file(plugins.join("some_guest.wasm")).expect("removed");
    sooner_or_later("the second answers", || from().ends_with("plugins/some-guest.wasm"));
    std::fs::remove_file(plugins.join("some-guest.wasm")).expect("removed");
    sooner_or_later("what is declared answers", || from().ends_with("own.wasm") && !from().contains("plugins/"));
    let generation = host.app().generation();

    // Changes go on as if they had never been there, and so do those of what is still there.
    let headers = [("content-type", "text/yaml")];
    let other = scenario("spare", "");
    let put = client::send_patiently(host.admin, "PUT", "/scenario", &headers, other.as_bytes());
    assert_eq!((put.status, host.app().generation()), (200, generation + 1), "{}", put.text());
    // One that is used and not declared goes on answering, and the next change may do without it.
    std::fs::remove_file(plugins.join("spare.wasm")).expect("removed");
    eventually("what runs needs it", || refusal(&host)["reason"].as_str().is_some_and(|reason| reason.contains("`spare`")));
    assert!(!said(&host).is_empty());
    let put = client::send(host.admin, "PUT", "/scenario", &headers, scenario("some-guest", declared).as_bytes());
    assert_eq!(put.status, 200, "{}", put.text());
}

#[test]
fn a_followed_plugin_that_changes_nothing_leaves_a_trial_alone_and_one_that_changes_it_is_tried_in_the_same_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).expect("made");
    std::fs::write(plugins.join("some_guest.wasm"), guest("word ")).expect("written");
    std::fs::write(folder.path().join("scenario.yaml"), scenario("some-guest", "")).expect("written");
    let host = TestHost::start_following(folder, "plugins");
    let text = format!("seed: 77\n{}", scenario("some-guest", ""));
    let headers = [("content-type", "text/yaml")];
    let begun = client::send(host.admin, "PUT", "/scenario?canary=50%25&for=600s", &headers, text.as_bytes());
    assert_eq!((begun.status, &begun.json()["state"]), (200, &Value::from("canary")), "{}", begun.text());

    replace(&plugins.join("unused.wasm"), &guest("noun "));
    // The next is offered after the first has been brought to its end.
    replace(&plugins.join("unused_too.wasm"), &guest("verb "));
    let uses = scenario("unused-too", "");
    let is_offered =
        || client::send_patiently(host.admin, "PUT", "/scenario?dry-run=true", &headers, uses.as_bytes()).status == 200;
    sooner_or_later("both have been offered", is_offered);
    assert_eq!(get(&host, "/generations")["canary"]["generation"], 2);

    replace(&plugins.join("some_guest.wasm"), &guest("noun "));
    sooner_or_later("the newer component is on trial", || get(&host, "/generations")["canary"]["generation"] == 3);
    let told = get(&host, "/generations");
    assert_eq!((&told["running"], &told["canary"]["share"]), (&Value::from(1), &Value::from(0.5)), "{told}");
    assert_eq!(client::send(host.admin, "POST", "/canary/promote", &[], b"").status, 200);
    let text = client::send(host.admin, "GET", "/scenario", &[], b"").text().to_owned();
    assert!(text.starts_with("seed: 77\n"), "what the operator had sent is in it: {text}");
}

#[test]
fn a_server_that_builds_as_it_starts_says_so_and_ends_with_its_tools_when_it_is_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let template = Template { name: "greets", kinds: vec!["responder"], lang: Lang::Rust };
    template.write(&folder.path().join("plugins/greets")).expect("a project");
    let admin = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
    let (path, tool) = waiting_cargo(folder.path());
    let mut server = Command::new(env!("CARGO_BIN_EXE_simwright"));
    server.args(["serve", "--watch-plugins", "plugins", "--listen", "127.0.0.1:0", "--admin", &admin.to_string()]);
    let mut server = server.current_dir(folder.path()).env("PATH", path).stdout(Stdio::null()).spawn().expect("it runs");
    eventually("it builds", || tool.pid().is_some());
    let ready = client::send(admin, "GET", "/readyz", &[], b"");
    assert_eq!((ready.status, ready.text()), (503, "not ready: building the plugin `greets`\n"));
    interrupt(&server);
    assert!(!server.wait().expect("it ends").success());
    assert!(!tool.runs());
}

#[test]
fn a_saved_source_is_built_and_swapped_and_a_broken_one_is_refused_in_the_compilers_words() {
    let folder = tempfile::tempdir().expect("a folder");
    // Where the other tests build their guests.
    build_in("guests", &folder);
    let template = Template { name: "greets", kinds: vec!["responder"], lang: Lang::Rust };
    let project = template.write(&folder.path().join("plugins/greets")).expect("a project");
    let (source, vectors) = (project.folder().join("src/lib.rs"), project.folder().join("tests/first.yaml"));
    let read = |file: &Path| std::fs::read_to_string(file).expect("readable");
    let (code, cases) = (read(&source), read(&vectors));
    // The project takes the place of the file that is declared, which there need not be.
    let declared = "plugins: { greets: { file: ./nowhere.wasm } }\n";
    std::fs::write(folder.path().join("scenario.yaml"), scenario("greets", declared)).expect("written");
    let host = TestHost::start_following(folder, "plugins");
    assert!(said(&host).starts_with("Hello!"), "{}", said(&host));

    std::fs::write(&source, format!("{code}\nfn broken() {{ nothing_like_it() }}\n")).expect("written");
    sooner_or_later("a broken source is refused", || refusal(&host)["kind"] == "not-built");
    let reason = refusal(&host)["reason"].take();
    assert!(reason.as_str().is_some_and(|text| text.contains("nothing_like_it") && text.contains("src/lib.rs:")), "{reason}");
    assert!(host.app().generation() == 1 && said(&host).starts_with("Hello!"), "what ran goes on");

    std::fs::write(&source, code.replace("Hello!", "Howdy!")).expect("written");
    sooner_or_later("the vectors refuse another greeting", || {
        refusal(&host)["reason"].as_str().is_some_and(|reason| reason.contains("the length follows the seed"))
    });
    assert!(host.app().generation() == 1 && said(&host).starts_with("Hello!"), "what ran goes on");

    std::fs::write(&vectors, cases.replace("Hello!", "Howdy!")).expect("written");
    sooner_or_later("what the vectors expect answers", || said(&host).starts_with("Howdy!"));
    assert_eq!(host.app().generation(), 2);
}

#[test]
fn a_followed_plugin_that_is_not_declared_can_be_sent_too_until_it_is_saved_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plugins/some_guest.wasm");
    std::fs::create_dir(folder.path().join("plugins")).expect("made");
    std::fs::write(&file, guest("word ")).expect("written");
    std::fs::write(file.with_file_name("unused.wasm"), guest("word ")).expect("written");
    std::fs::write(folder.path().join("scenario.yaml"), scenario("some-guest", "")).expect("written");
    let host = TestHost::start_following(folder, "plugins");
    let digest = || get(&host, "/plugins")["plugins"][0]["digest"].take();
    let put = |name: &str| {
        let headers = [("content-type", "application/wasm")];
        client::send_patiently(host.admin, "PUT", &format!("/plugins/{name}"), &headers, &guest("verb "))
    };
    let first = digest();
    let answer = put("some-guest");
    assert_eq!((answer.status, &answer.json()["generation"]), (200, &2.into()), "{}", answer.text());
    assert!(
        answer.json()["lasts"].as_str().is_some_and(|lasts| lasts.contains("some_guest.wasm` is saved")),
        "{}",
        answer.text()
    );
    let sent = digest();
    assert_ne!(sent, first);
    let unused = put("unused");
    assert!(unused.status == 404 && unused.text().contains("has no plugin `unused`"), "{}", unused.text());

    replace(&file, &guest("noun "));
    sooner_or_later("the saved one answers", || host.app().generation() == 3);
    assert!(digest() != sent && digest() != first);
}

/// A folder with a project.
fn endless_project() -> (TempDir, Project) {
    let folder = tempfile::tempdir().expect("a folder");
    let template = Template { name: "endless", kinds: vec!["responder"], lang: Lang::Rust };
    let project = template.write(&folder.path().join("plugins/endless")).expect("a project");
    (folder, project)
}

/// Lets the project's next build say its number and then not end.
fn never_ends(project: &Project, pid: &Path) {
    let code = format!(
        "fn main() {{ std::fs::write({pid:?}, std::process::id().to_string()).unwrap(); loop {{ std::thread::park(); }} }}\n"
    );
    std::fs::write(project.folder().join("build.rs"), code).expect("written");
}

/// The number in the file `pid`, once it is there.
fn number(pid: &Path) -> u32 {
    let read = || std::fs::read_to_string(pid).ok().and_then(|text| text.parse().ok());
    sooner_or_later("the build has begun", || read().is_some());
    read().expect("a number")
}

#[test]
fn a_build_is_ended_when_its_source_is_saved_again_and_when_the_server_stops() {
    let (folder, project) = endless_project();
    // Nobody else's: a build that does not end keeps others from theirs.
    build_in("endless", &folder);
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    std::fs::write(folder.path().join("scenario.yaml"), scenario("endless", "")).expect("written");
    let host = TestHost::start_following(folder, "plugins");
    assert_eq!(said(&host), said(&host));
    never_ends(&project, &first);
    let older = number(&first);
    assert!(runs(older));
    never_ends(&project, &second);
    let newer = number(&second);
    eventually("the older build is ended", || !runs(older));
    assert!(runs(newer), "only the newest source is built");
    assert!(host.app().generation() == 1 && refusal(&host).is_null(), "nothing was wrong: {}", refusal(&host));
    host.into_app().stop(Duration::from_secs(1));
    eventually("the build ends with the server", || !runs(newer));
}

#[test]
fn a_server_that_is_stopped_while_it_builds_for_its_start_leaves_nothing_behind() {
    let (folder, project) = endless_project();
    let pid = folder.path().join("pid");
    never_ends(&project, &pid);
    std::fs::write(folder.path().join("scenario.yaml"), scenario("endless", "")).expect("written");
    let mut server = Command::new(env!("CARGO_BIN_EXE_simwright"))
        .args(["serve", "scenario.yaml", "--watch-plugins", "plugins", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let build = number(&pid);
    assert!(runs(build));
    let server_pid = rustix::process::Pid::from_child(&server);
    rustix::process::kill_process(server_pid, rustix::process::Signal::TERM).expect("it runs");
    let mut said = String::new();
    server.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
    assert_eq!(server.wait().expect("it ends").code(), Some(1), "{said}");
    assert!(said.contains("stopped before it was ready"), "{said}");
    eventually("the build ends with the server", || !runs(build));
}

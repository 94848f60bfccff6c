use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use simwright::wasm::{CONTRACT, STANDARD_PACK};

/// A folder with a store of its own, and the program.
pub struct Desk {
    folder: tempfile::TempDir,
}

/// What a command printed.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; none if it was killed.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Desk {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, content).expect("written");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("text")
    }

    /// Edits a file of text.
    pub fn edit(&self, name: &str, old: &str, new: &str) {
        let text = self.read(name);
        assert!(text.contains(old), "`{old}` is not in {name}:\n{text}");
        self.write(name, text.replace(old, new));
    }

    /// The program with `arguments`, or another one that runs it.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).env("SIMWRIGHT_HOME", self.path("home"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(&mut self.command(env!("CARGO_BIN_EXE_simwright"), arguments))
    }

    /// Runs what must work; gives its output.
    pub fn done(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
        ran.out
    }

    /// Runs what must fail with `code`; gives all that it said.
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        format!("{}{}", ran.out, ran.err)
    }

    /// A server of `scenario.yaml`, and where its admin listener is. What it logs is piped.
    pub fn serve(&self) -> (Child, SocketAddr) {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--log", "warn", "scenario.yaml"];
        let mut command = self.command(env!("CARGO_BIN_EXE_simwright"), &arguments);
        let mut server = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut ready = String::new();
        BufReader::new(server.stdout.take().expect("piped")).read_line(&mut ready).expect("a line");
        let admin = ready.split("admin=http://").nth(1).expect("an address").trim().parse().expect("an address");
        (server, admin)
    }

    /// A recipe of the pack `acme` in `folder` with the plugin `brown-out`, and one that reaches more: `storm`.
    pub fn acme(&self, folder: &str, version: &str) {
        let recipe = format!(
            "name = \"acme\"\nversion = \"{version}\"\nlicence = \"MIT\"\ndescription = \"What happens at Acme.\"\n\
             interface = \"^{CONTRACT}\"\n\n[[plugin]]\nname = \"brown-out\"\nfile = \"brown_out.wasm\"\n\n\
             [[plugin]]\nname = \"storm\"\nfile = \"retry_storm.wasm\"\ncapabilities = [\"state\", \"log\"]\n\n\
             [[scenario]]\nname = \"noon\"\nfile = \"noon.yaml\"\n"
        );
        self.write(&format!("{folder}/pack.toml"), recipe);
        self.write(&format!("{folder}/brown_out.wasm"), component("brown-out"));
        self.write(&format!("{folder}/retry_storm.wasm"), component("retry-storm"));
        self.write(&format!("{folder}/noon.yaml"), "simwright: 1\nmodels: [{ match: m, latency: { acme/brown-out: {} } }]\n");
        let case = "plugin: brown-out\ncases:\n  - name: it decides when tokens leave\n    request: { user: hello }\n    expect: { ttft: { at-least: 1us } }\n";
        self.write(&format!("{folder}/tests/brown-out.yaml"), case);
    }

    /// A scenario that uses both plugins of `./acme`.
    pub fn scenario(&self, grant: &str) {
        let text = format!(
            "simwright: 1\npacks:\n  acme: {{ from: ./acme, version: \"^1.0\", grant: [{grant}] }}\nmodels:\n  - match: m\n    \
             latency: {{ acme/brown-out: {{}} }}\n    faults: [{{ acme/storm: {{}} }}]\n"
        );
        self.write("scenario.yaml", text);
    }
}

/// A component of the standard pack.
pub fn component(name: &str) -> &'static [u8] {
    STANDARD_PACK.iter().find(|(known, _)| *known == name).expect("it is embedded").1
}

pub fn ran(command: &mut Command) -> Ran {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Every file below `folder`, with its content, in order.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(files(&path)),
            path => found.push((path.clone(), std::fs::read(&path).expect("a file"))),
        }
    }
    found.sort();
    found
}

//! Files beside the scenario that options name: templates, fixtures, measured delays. Nothing outside the scenario's folder is ever
//! read. Whoever reads one calls the option `file`, and then its changes are followed.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

/// The text of the file `name` below `folder`, the scenario's. The error says what is wrong, with the name in backticks.
pub fn read(folder: &Path, name: &str, bytes_max: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to know.
    open(folder, name)?.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| failed(name, &error))?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("`{name}` has more than {bytes_max} bytes; a part of it must do"));
    }
    String::from_utf8(bytes).map_err(|_| format!("`{name}` is not UTF-8 text"))
}

/// The same file, opened: for what is read piece by piece.
pub fn open(folder: &Path, name: &str) -> Result<File, String> {
    let path = Path::new(name);
    let goes_down = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if name.is_empty() || !goes_down {
        return Err(format!("`{name}` is not below the scenario's folder; put the file there and give its path from it"));
    }
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let failed = |error: std::io::Error| failed(name, &error);
    let real = folder.join(path).canonicalize().map_err(failed)?;
    // A link may lead elsewhere.
    if !real.starts_with(folder.canonicalize().map_err(failed)?) {
        return Err(format!("`{name}` leads out of the scenario's folder; put a copy of the file there"));
    }
    // A pipe would be waited for.
    if !real.is_file() {
        return Err(format!("`{name}` is no file"));
    }
    File::open(&real).map_err(failed)
}

fn failed(name: &str, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => format!("there is no file `{name}` in the scenario's folder"),
        _ => format!("`{name}` cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_below_the_folder_are_read() {
        let outside = tempfile::tempdir().expect("a folder");
        std::fs::write(outside.path().join("secret"), "x").expect("written");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("below")).expect("made");
        std::fs::write(folder.path().join("below/a.txt"), "hello").expect("written");
        std::fs::write(folder.path().join("bad"), b"\xff").expect("written");
        std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("link")).expect("linked");
        assert_eq!(read(folder.path(), "below/a.txt", 5).as_deref(), Ok("hello"));
        let absolute = outside.path().join("secret").display().to_string();
        for (name, reason) in [
            ("below/a.txt", "more than 4 bytes"),
            ("../secret", "not below"),
            ("below/../../secret", "not below"),
            (&*absolute, "not below"),
            ("link", "leads out"),
            ("missing", "there is no file `missing`"),
            ("bad", "not UTF-8"),
            ("below", "`below` is no file"),
        ] {
            let error = read(folder.path(), name, 4).unwrap_err();
            assert!(error.contains(reason), "{name}: {error}");
        }
    }
}

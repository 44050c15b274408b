//! The rules of CONTRIBUTING.md that a machine can see to, read off the sources.

use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES: usize = 600;
const LINE_COLUMNS: usize = 100;

/// On which floor each file or folder of `crates/stream-socket/src` stands: ARCHITECTURE.md.
const FLOORS: &[(u8, &[&str])] = &[
    (
        0,
        &[
            "error",
            "deadline",
            "nearest",
            "pieces",
            "printable",
            "read_buffer",
        ],
    ),
    (1, &["address", "network", "proxy_protocol", "url"]),
    (2, &["options"]),
    (3, &["sys"]),
    (4, &["transport"]),
    (
        5,
        &[
            "child",
            "connecting",
            "crowd",
            "datagram",
            "gate",
            "handshake_log",
            "handshakes",
            "listener",
            "peers",
            "poller",
            "select",
            "stream",
            "trust",
        ],
    ),
    (6, &["engine"]),
];

/// Where the library may name a crate that is not its own; a path that ends in `/` is a folder.
const FOREIGN: &[(&str, &str)] = &[
    ("base64", "transport/via/"),
    ("dns_lookup", "sys/"),
    ("libc", "sys/"),
    ("memchr", ""),
    ("nix", "sys/"),
    ("rustix", "sys/"),
    ("aws_lc_rs", "transport/tls/"),
    ("pkcs8", "transport/tls/"),
    ("rcgen", "transport/tls/"),
    ("rustls", "transport/tls/"),
    ("rustls_native_certs", "transport/tls/"),
    ("webpki", "transport/tls/"),
    ("x509_parser", "transport/tls/"),
    ("zeroize", "transport/tls/"),
    ("socket2", "sys/"),
    ("strsim", "nearest.rs"),
];

/// The only file with code that the compiler can't vouch for.
const AUDITED: [&str; 2] = [
    "crates/stream-socket/src/sys/ffi.rs",
    "crates/stream-socket-php/src/zend/",
];

const LIBRARY: &str = "crates/stream-socket/src/";

/// What may stand in a file while one works on it, and not afterwards.
const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!", "#[ignore"];

/// Every breach of a rule in a file, given by its path from the root of the repository.
fn breaches(path: &str, source: &str) -> Vec<String> {
    let code = code_of(source);
    let mut found = size(source);
    found.extend(unfinished(&code));
    if !AUDITED.iter().any(|place| path.starts_with(place)) && has_word(&code, "unsafe") {
        let places = AUDITED.join(" and ");
        found.push(format!("unsafe code, which only {places} may have"));
    }
    if let Some(inside) = path.strip_prefix(LIBRARY) {
        found.extend(foreign(inside, &code));
        if inside != "lib.rs" {
            found.extend(climbing(inside, &code));
        }
    }
    found
}

fn size(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source.lines().count();
    if lines > FILE_LINES {
        found.push(format!("{lines} lines, and {FILE_LINES} are the limit"));
    }
    for (index, line) in source.lines().enumerate() {
        let columns = line.chars().count();
        if columns > LINE_COLUMNS {
            found.push(format!("line {}: {columns} columns", index + 1));
        }
    }
    found
}

fn unfinished(code: &str) -> Vec<String> {
    let left = UNFINISHED.iter().filter(|mark| code.contains(**mark));
    left.map(|mark| format!("{mark} is left in it")).collect()
}

fn foreign(inside: &str, code: &str) -> Vec<String> {
    let is_allowed = |place: &str| {
        place.is_empty() || inside == place || (place.ends_with('/') && inside.starts_with(place))
    };
    FOREIGN
        .iter()
        .filter(|(name, place)| !is_allowed(place) && names_crate(code, name))
        .map(|(name, place)| format!("{name}, which only {place} may name"))
        .collect()
}

/// Whether `code` has a path that begins with that crate.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = &code[..at];
        !before.ends_with(is_word_character) && !before.ends_with("::")
    })
}

/// Imports from a higher floor, and files that no floor is known of.
fn climbing(inside: &str, code: &str) -> Vec<String> {
    let module = inside.split(['/', '.']).next().unwrap_or(inside);
    let Some(floor) = floor_of(module) else {
        return vec![format!(
            "{module} stands on no floor: add it to the table in tidy.rs"
        )];
    };
    let mut found = Vec::new();
    for imported in imports(code) {
        match floor_of(&imported) {
            Some(other) if other <= floor => {}
            Some(other) => found.push(format!(
                "floor {floor} imports crate::{imported}, which is on floor {other}"
            )),
            None => found.push(format!("crate::{imported} stands on no floor")),
        }
    }
    found
}

fn floor_of(module: &str) -> Option<u8> {
    let row = FLOORS
        .iter()
        .find(|(_, modules)| modules.contains(&module))?;
    Some(row.0)
}

/// The modules at the root that paths beginning with `crate::` lead to.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate::` in a macro leads where the macro is defined, which its own file is judged for.
        if code[..at].ends_with(|c: char| is_word_character(c) || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(first_names(group)),
            None => found.push(first_word(rest)),
        }
    }
    found
}

/// The first names in a group such as `a::b, c::{d, e}, f}`.
fn first_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut is_start) = (0, Vec::new(), true);
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => is_start = true,
            c if is_start && is_word_character(c) => {
                names.push(first_word(&group[at..]));
                is_start = false;
            }
            _ => {}
        }
    }
    names
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| is_word_character(*c)).collect()
}

fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(is_word_character)
            && !code[at + word.len()..].starts_with(is_word_character)
    })
}

fn is_word_character(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The source with comments, strings and characters blanked out; lines stay lines.
fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        let is_after_word = code.ends_with(is_word_character);
        let length = blank_length(rest, is_after_word);
        let (text, after) = rest.split_at(length.unwrap_or(character.len_utf8()));
        if length.is_some() {
            code.extend(text.chars().map(|c| if c == '\n' { c } else { ' ' }));
        } else {
            code.push_str(text);
        }
        rest = after;
    }
    code
}

/// How long the comment, string or character is that `text` begins with, if it does.
fn blank_length(text: &str, is_after_word: bool) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(block_comment(text));
    }
    if text.starts_with('"') {
        return Some(string(text));
    }
    if text.starts_with('\'') {
        return character(text);
    }
    if is_after_word {
        return None;
    }
    let prefix = ["br", "cr", "r", "b", "c"]
        .iter()
        .find(|p| text.starts_with(**p))?;
    let after = &text[prefix.len()..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    if !after[hashes..].starts_with('"') {
        return None;
    }
    if !prefix.contains('r') {
        return (hashes == 0).then(|| prefix.len() + string(after));
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let inside = &after[hashes + 1..];
    let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(prefix.len() + hashes + 1 + length)
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a string with its quotes.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character with its quotes; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let inside = &text[1..];
    let first = inside.chars().next()?;
    let from = if first == '\\' { 2 } else { first.len_utf8() };
    let end = inside.get(from..)?.find('\'')?;
    (first == '\\' || end == 0).then_some(1 + from + end + 1)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Every Rust file below a folder, but for what is built.
fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_file_keeps_the_rules() {
    let root = root();
    let mut files = Vec::new();
    for folder in ["crates", "xtask", "fuzz"] {
        rust_files(&root.join(folder), &mut files);
    }
    assert!(files.len() > 60, "only {} files were found", files.len());
    let mut found = Vec::new();
    for file in files {
        let path = file
            .strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let source = fs::read_to_string(&file).unwrap();
        found.extend(
            breaches(&path, &source)
                .iter()
                .map(|breach| format!("{path}: {breach}")),
        );
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_dependency_has_its_place() {
    let manifest = fs::read_to_string(root().join("crates/stream-socket/Cargo.toml")).unwrap();
    let section = manifest
        .split("\n[")
        .find(|s| s.starts_with("dependencies]"))
        .unwrap();
    let names = section
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(" = "));
    for (name, _) in names {
        let name = name.replace('-', "_");
        assert!(
            FOREIGN.iter().any(|(known, _)| *known == name),
            "say in tidy.rs where {name} may be named"
        );
    }
}

#[test]
fn the_audited_file_has_what_it_is_audited_for() {
    let source = fs::read_to_string(root().join(AUDITED[0])).unwrap();
    assert!(has_word(&code_of(&source), "unsafe"));
    assert_eq!(breaches(AUDITED[0], &source), Vec::<String>::new());
}

/// A path below the library's folder, a source, and what is to be found in it.
#[rustfmt::skip]
const BAD: &[(&str, &str, &str)] = &[
    ("error.rs", "use crate::sys::Errno;", "floor 0 imports crate::sys, which is on floor 3"),
    ("url/mod.rs", "use crate::{error::Error, stream::Stream};", "imports crate::stream"),
    ("sys/wait.rs", "fn f() { crate::transport::bind() }", "imports crate::transport"),
    ("stream/line.rs", "use crate::engine::Engine;", "floor 5 imports crate::engine"),
    ("util.rs", "", "util stands on no floor"),
    ("stream.rs", "use crate::nowhere::X;", "crate::nowhere stands on no floor"),
    ("stream.rs", "use rustix::net::recv;", "rustix, which only sys/"),
    ("url/mod.rs", "let x = libc::EINVAL;", "libc, which only sys/"),
    ("sys/errno.rs", "strsim::jaro(a, b)", "strsim, which only nearest.rs"),
    ("stream.rs", "unsafe { f() }", "unsafe code"),
    ("stream.rs", "/* over */ unsafe/**/{ f() } // now", "unsafe code"),
    ("stream.rs", "todo!()", "todo! is left"),
    ("stream.rs", "dbg!(x)", "dbg! is left"),
    ("stream.rs", "#[ignore = \"slow\"]", "#[ignore is left"),
];

/// A check that can't fail is a defect.
#[test]
fn breaches_are_found() {
    for (path, source, expected) in BAD {
        let found = breaches(&format!("{LIBRARY}{path}"), source);
        let is_found = found.len() == 1 && found[0].contains(expected);
        assert!(is_found, "{path}: {source}: {found:?}");
    }
    let elsewhere = "crates/stream-socket-cli/src/main.rs";
    assert_eq!(breaches(elsewhere, "unsafe fn f() {}").len(), 1);
    assert_eq!(breaches(elsewhere, "use crate::anything::X;").len(), 0);
}

#[test]
fn what_is_too_large_is_found() {
    let file = "\n".repeat(FILE_LINES);
    assert_eq!(size(&file), Vec::<String>::new());
    assert_eq!(size(&(file + "\n")), ["601 lines, and 600 are the limit"]);
    let line = "é".repeat(LINE_COLUMNS);
    assert_eq!(size(&line), Vec::<String>::new());
    assert_eq!(size(&format!("\n{line}é")), ["line 2: 101 columns"]);
}

#[test]
fn what_only_looks_like_a_breach_is_none() {
    for source in [
        "// unsafe, todo!() and use crate::engine::X",
        "/* unsafe /* nested */ dbg!(x) */",
        r##"let x = ("unsafe \" dbg!()", r#"todo!() " "#, b"unsafe", '"', '\'', "unsafe");"##,
        "#![deny(unsafe_code)] fn f<'a>(x: &'a str) {} // 'unsafe'",
        "use crate::error::Error; use super::Stream; pub(crate) fn f() {}",
        "let errno = sys::errno::libc_like(); my_rustix::f();",
        "use memchr::memmem;",
    ] {
        let found = breaches(&format!("{LIBRARY}stream.rs"), source);
        assert_eq!(found, Vec::<String>::new(), "{source}");
    }
}

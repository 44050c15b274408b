//! What the extension does when it is itself at fault, and when PHP leaves it in the middle.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;

use super::{bounded, built, php_loading, root};

const FAULT: &str = "Error: stream_socket: a fault of the extension: simulated";
/// More calls than the script makes.
const MOST_CALLS: u32 = 300;

/// A build in which a call panics that is chosen by its number: a copy, in whose place nobody puts
/// a build without.
static SIMULATED: LazyLock<PathBuf> = LazyLock::new(|| {
    let library = "debug/libstream_socket_php.so";
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulated.so");
    fs::copy(built(&["--features", "simulation"], library), &kept).unwrap();
    kept
});

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
#[allow(clippy::print_stderr, reason = "says why it is skipped")]
fn a_panic_in_any_call_is_an_error_and_the_process_lives() {
    if env::var_os("PHP_EXTENSION").is_some() {
        eprintln!("skipped: the extension given has no call that can be made to panic");
        return;
    }
    let script = root().join("tests/php/faults/panics.php");
    for number in 1..MOST_CALLS {
        let mut command = php_loading(&SIMULATED, "simulated");
        command
            .arg(&script)
            .env("STREAM_SOCKET_PANIC_AT", number.to_string());
        let output = bounded(command);
        let said = text(&output);
        assert!(output.status.success(), "{number}: {said}");
        assert!(said.ends_with("alive\n"), "{number}: {said}");
        let complaints = String::from_utf8_lossy(&output.stderr);
        let faults = said.matches(FAULT).count();
        match faults {
            1 => {}
            // What PHP closes at its end is closed where no script can catch anything.
            0 if complaints.contains("a fault of the extension: simulated") => {}
            0 => {
                assert!(number > 60, "the script makes only {number} calls");
                return;
            }
            _ => panic!("{number}: {said}"),
        }
    }
    panic!("the script makes more than {MOST_CALLS} calls");
}

#[test]
fn an_error_handler_that_does_not_come_back_breaks_nothing() {
    let script = root().join("tests/php/faults/handlers.php");
    let says = |words: &[&str]| {
        let mut command = super::php(true);
        command.arg(&script).args(words);
        bounded(command)
    };
    let names = text(&says(&[]));
    assert!(names.lines().count() > 15, "{names}");
    let thrown = text(&says(&["all", "throw"]));
    let outcomes: Vec<&str> = thrown.lines().collect();
    assert_eq!(outcomes.len(), names.lines().count() + 1, "{thrown}");
    assert_eq!(outcomes.last(), Some(&"alive"), "{thrown}");
    assert!(!thrown.contains("no complaint"), "{thrown}");
    for name in names.lines().filter(|name| *name != "no stream") {
        let output = says(&[name, "end"]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(255), "{name}: {said}");
        assert!(said.contains("ended by the handler"), "{name}: {said}");
        assert!(said.ends_with("alive\n"), "{name}: {said}");
    }
}

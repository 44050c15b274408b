//! ReactPHP, Amp, Symfony's and Guzzle's clients of HTTP and PHPMailer, as they are: they say the
//! same on stock PHP and with the extension.

use std::env;

use super::{assert_said, php_says, scripts};

#[test]
#[allow(clippy::print_stderr, reason = "says why it is skipped")]
fn frameworks_notice_nothing() {
    let Some(folder) = env::var_os("PHP_FRAMEWORKS") else {
        eprintln!("skipped: $PHP_FRAMEWORKS names no folder; `cargo xtask test` fetches one");
        return;
    };
    let folder = folder.to_string_lossy();
    for script in scripts("frameworks") {
        let words = [&*script.to_string_lossy(), &folder];
        let stock = php_says(false, &words);
        assert!(stock.ends_with("done\n"), "{}: {stock}", script.display());
        assert_said(
            &script,
            "with the extension",
            &php_says(true, &words),
            &stock,
        );
    }
}

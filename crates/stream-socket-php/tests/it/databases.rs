//! MariaDB over TLS, by PHP's own drivers: with clients by ext/openssl, and by the library.

use std::env;
use std::path::Path;

use super::{assert_said, php_says, root};

#[test]
#[allow(clippy::print_stderr, reason = "says why it is skipped")]
fn mariadb_is_asked_over_tls() {
    if php_says(false, &["-r", "echo (int) extension_loaded('mysqli');"]) != "1" {
        eprintln!("skipped: PHP has no mysqli, which Debian's php-mysql brings");
        return;
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |folder: &Path| folder.join("mariadbd").is_file();
    if !is_there(Path::new("/usr/sbin")) && !env::split_paths(&path).any(|path| is_there(&path)) {
        eprintln!("skipped: there is no mariadbd, which Debian's mariadb-server-core brings");
        return;
    }
    let script = root().join("tests/php/databases/mariadb.php");
    let name = script.to_string_lossy();
    let stock = php_says(false, &[&name]);
    let by_openssl = php_says(true, &[&name]);
    assert_said(&script, "with the extension", &by_openssl, &stock);
    let by_us = php_says(true, &["-d", "stream_socket.tls=all", &name]);
    let expected = stock.replace(
        "Peer certificate CN=`db.test' did not match expected CN=`127.0.0.1'",
        "SSL: the certificate is not for 127.0.0.1, but for db.test",
    );
    assert_ne!(expected, stock, "no certificate was refused");
    assert_said(&script, "by the library", &by_us, &expected);
}

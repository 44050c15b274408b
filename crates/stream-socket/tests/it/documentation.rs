//! `OPTIONS.md` is made from the table of keys: this test fails when the two differ.

use std::fmt::Write;
use std::path::Path;

use stream_socket::{Key, Role, Transport, keys};

#[test]
fn the_table_of_options_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("OPTIONS.md");
    let made = options_page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == made,
        "OPTIONS.md differs from the table of keys; run UPDATE=1 cargo test -p stream-socket"
    );
}

/// Whether a key stands in a section.
type Belongs = fn(&Key) -> bool;

fn options_page() -> String {
    let mut page = "# Options

Each is a field of an options struct, a key of a URL's query (`tcp://[::]:80?nodelay=1`) and, with
hyphens for underscores, a flag of the command (`--nodelay`). The query overrides flag and field.
An option that does not apply to a transport is refused, never ignored.

COUNT is a whole number; BYTES are plain or have a unit (`65536`, `64KiB`, `4MiB`); a SPAN has a
unit (`250ms`, `2s`, `5m`, `1h`) or is `never`; a MODE is octal (`0660`); a BOOL is `1` or `0`; a
LIST has commas between its words. What applies to tcp or unix applies to TLS over it as well; TLS
stands for tls, ssl, tlsv1.2, tlsv1.3 and tls+unix. What weakens security is no option of a URL, but
a field whose name begins with `danger`.
"
    .to_owned();
    let sections: [(&str, Belongs); 3] = [
        ("Listening", |key| !key.has_role(Role::Connect)),
        ("Connecting", |key| !key.has_role(Role::Listen)),
        ("Both", |key| {
            key.has_role(Role::Listen) && key.has_role(Role::Connect)
        }),
    ];
    for (title, belongs) in sections {
        _ = write!(
            page,
            "\n## {title}\n\n| option | value | transports | default | "
        );
        page.push_str("meaning | in PHP's contexts |\n|---|---|---|---|---|---|\n");
        for key in keys().iter().filter(|key| belongs(key)) {
            page.push_str(&row(key));
        }
    }
    page
}

fn row(key: &Key) -> String {
    let names: Vec<_> = key
        .transports
        .iter()
        .map(|transport| transport.name())
        .collect();
    let transports = if key.transports == Transport::ALL {
        "all".to_owned()
    } else if key.transports.iter().all(|transport| transport.is_tls()) {
        "TLS".to_owned()
    } else {
        names.join(", ")
    };
    let php = key.php.map(|name| format!("`{name}`")).unwrap_or_default();
    let (name, value, default) = (key.name, key.kind().placeholder(), key.default);
    let help = key.help;
    format!("| `{name}` | {value} | {transports} | {default} | {help} | {php} |\n")
}

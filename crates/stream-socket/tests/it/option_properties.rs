//! The table of options under any text: understood and in force, or refused in one sentence.

use proptest::prelude::*;
use proptest::sample::select;
use stream_socket::{ConnectOptions, Key, Kind, ListenOptions, Role, Stage, keys};

fn any_key() -> impl Strategy<Value = &'static Key> {
    select(keys().iter().collect::<Vec<_>>())
}

/// Text that is a value of the key.
fn value(key: &Key) -> BoxedStrategy<String> {
    match key.kind() {
        Kind::Flag => select(vec!["0", "1", "true", "false"])
            .prop_map(str::to_owned)
            .boxed(),
        Kind::Count => any::<u32>().prop_map(|count| count.to_string()).boxed(),
        Kind::Bytes => (any::<u16>(), select(vec!["", "KiB", "MiB"]))
            .prop_map(|(number, unit)| format!("{number}{unit}"))
            .boxed(),
        Kind::Span => prop_oneof![
            Just("never".to_owned()),
            (any::<u32>(), select(vec!["ms", "s", "m", "h"]))
                .prop_map(|(number, unit)| format!("{number}{unit}")),
        ]
        .boxed(),
        Kind::Mode => (0_u32..=0o777)
            .prop_map(|mode| format!("{mode:04o}"))
            .boxed(),
        Kind::List => "[^\\x00-\\x1f,]{1,9}(,[^\\x00-\\x1f,]{1,9}){0,3}".boxed(),
        Kind::Choice => {
            let words = match key.name {
                "handshake" => vec!["accept", "first-use"],
                "send_proxy" => vec!["v1", "v2"],
                "proxy_protocol" => vec!["absent", "required"],
                _ => vec!["1.2", "1.3"],
            };
            select(words).prop_map(str::to_owned).boxed()
        }
        _ => "[^\\x00-\\x1f]{1,20}".boxed(),
    }
}

/// Sets a key of either role; the options must then differ from the default.
fn set(key: &Key, text: &str) -> stream_socket::Result<bool> {
    if key.has_role(Role::Listen) {
        let mut options = ListenOptions::default();
        options.set(key.name, text)?;
        return Ok(options != ListenOptions::default());
    }
    let mut options = ConnectOptions::default();
    options.set(key.name, text)?;
    Ok(options != ConnectOptions::default())
}

proptest! {
    #[test]
    fn a_value_of_its_kind_is_taken(
        (key, text) in any_key().prop_flat_map(|key| (Just(key), value(key)))
    ) {
        prop_assert!(set(key, &text)?, "{} = {text} changed nothing", key.name);
    }

    #[test]
    fn any_other_text_is_taken_or_refused_in_one_sentence(key in any_key(), text in "(?s).{0,30}") {
        if let Err(error) = set(key, &text) {
            prop_assert_eq!((error.stage(), error.errno()), (Stage::Parse, None));
            let sentence = error.to_string();
            prop_assert!(sentence.contains(key.name) && !sentence.contains('\n'), "{}", sentence);
        }
    }

    #[test]
    fn a_word_that_is_no_key_is_refused(name in "[a-z_]{1,20}") {
        prop_assume!(keys().iter().all(|key| key.name != name));
        prop_assert!(ListenOptions::default().set(&name, "1").is_err());
        prop_assert!(ConnectOptions::default().set(&name, "1").is_err());
    }
}

//! Lists of ciphers as OpenSSL reads them, ciphers(1), for the suites that there are here.
//!
//! A list permits. What it permits besides is not missed where words take in much (`HIGH`), nor
//! where PHP's OpenSSL has no use for it either. But who names a suite, or a kind of suites, of
//! which there are none here, needs it: such a list is not supported.

use std::ops::ControlFlow;

use stream_socket::{TlsVersion, tls_ciphers};

/// Those of TLS 1.2, in OpenSSL's order: its names, and what its words say of each.
const SUITES: [(&str, &[&str]); 6] = [
    ("ECDHE-ECDSA-AES256-GCM-SHA384", &["aECDSA", "AES256"]),
    ("ECDHE-RSA-AES256-GCM-SHA384", &["aRSA", "AES256"]),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", &["aECDSA", "CHACHA20"]),
    ("ECDHE-RSA-CHACHA20-POLY1305", &["aRSA", "CHACHA20"]),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", &["aECDSA", "AES128"]),
    ("ECDHE-RSA-AES128-GCM-SHA256", &["aRSA", "AES128"]),
];

/// Words for all of them.
const ALL: &[&str] = &[
    "ALL", "DEFAULT", "HIGH", "TLSv1.2", "ECDHE", "EECDH", "kECDHE", "kEECDH", "ECDH",
];

/// What OpenSSL has no suite for, or none that PHP gives it what it needs for: parameters of
/// Diffie-Hellman, keys of DSA, secrets shared before.
const UNUSED: &[&str] = &[
    "DHE", "EDH", "kDHE", "kEDH", "DSS", "aDSS", "PSK", "kPSK", "aPSK", "SRP", "kSRP", "aSRP",
    "LOW", "MEDIUM", "EXP", "EXPORT", "EXPORT40", "EXPORT56", "DES", "3DES", "RC2", "RC4", "IDEA",
    "SEED", "MD5", "SSLv2",
];

/// Which suites a word means, a bit for each.
enum Meaning {
    Ours(u8),
    /// None, and none is missed.
    Unused,
    Lacking,
}

/// The suites of a list, best first, and those of TLS 1.3, of which such lists don't speak. `None`:
/// it is not supported.
pub(crate) fn listed(list: &str) -> Option<Vec<String>> {
    let mut chosen = Vec::new();
    let mut killed = 0;
    for word in list
        .split([':', ',', ' ', ';'])
        .filter(|word| !word.is_empty())
    {
        if apply(word, &mut chosen, &mut killed).is_break() {
            return None;
        }
    }
    if chosen.is_empty() {
        return None;
    }
    let of_new = tls_ciphers()
        .iter()
        .filter(|cipher| cipher.version == TlsVersion::V1_3);
    let of_new = of_new.map(|cipher| cipher.name);
    let of_old = chosen.iter().map(|suite| SUITES[*suite].0);
    Some(of_new.chain(of_old).map(str::to_owned).collect())
}

fn apply(word: &str, chosen: &mut Vec<usize>, killed: &mut u8) -> ControlFlow<()> {
    if let Some((word, command)) = word.split_once('@') {
        if !word.is_empty() {
            apply(word, chosen, killed)?;
        }
        return command_of(command, chosen);
    }
    let (sign, word) = match word.as_bytes()[0] {
        sign @ (b'!' | b'-' | b'+') => (sign, &word[1..]),
        _ => (0, word),
    };
    let mask = match (meaning(word), sign) {
        (Meaning::Ours(mask), _) => mask,
        (Meaning::Lacking, 0) => return ControlFlow::Break(()),
        // What there is none of need not be taken away.
        _ => 0,
    };
    let is_meant = |suite: &usize| mask & (1 << suite) != 0;
    match sign {
        0 => {
            let added =
                (0..SUITES.len()).filter(|suite| is_meant(suite) && *killed & (1 << suite) == 0);
            let added: Vec<usize> = added.filter(|suite| !chosen.contains(suite)).collect();
            chosen.extend(added);
        }
        b'+' => chosen.sort_by_key(is_meant),
        _ => chosen.retain(|suite| !is_meant(suite)),
    }
    if sign == b'!' {
        *killed |= mask;
    }
    ControlFlow::Continue(())
}

/// What stands behind an `@`. A level of security above 2 would be more than is kept here, and who
/// wants one below it has weaker peers to talk to.
fn command_of(command: &str, chosen: &mut [usize]) -> ControlFlow<()> {
    match command {
        "STRENGTH" => chosen.sort_by_key(|suite| SUITES[*suite].1[1] == "AES128"),
        "SECLEVEL=2" => {}
        _ => return ControlFlow::Break(()),
    }
    ControlFlow::Continue(())
}

/// What a word means, or several with a `+` between them: what all of them mean.
fn meaning(words: &str) -> Meaning {
    let mut all = u8::MAX;
    let mut is_unused = false;
    for word in words.split('+') {
        match meaning_of_one(word) {
            Meaning::Ours(mask) => all &= mask,
            Meaning::Unused => is_unused = true,
            Meaning::Lacking => return Meaning::Lacking,
        }
    }
    if is_unused {
        Meaning::Unused
    } else {
        Meaning::Ours(all)
    }
}

fn meaning_of_one(word: &str) -> Meaning {
    let has = |suite: &(&str, &[&str])| {
        let (name, kinds) = suite;
        *name == word
            || kinds.contains(&word)
            || ALL.contains(&word)
            || word == "ECDSA" && kinds.contains(&"aECDSA")
            || matches!(word, "AES" | "AESGCM") && !kinds.contains(&"CHACHA20")
    };
    let mask = (0..SUITES.len()).filter(|suite| has(&SUITES[*suite]));
    let mask = mask.fold(0, |mask, suite| mask | 1 << suite);
    let is_unused = UNUSED.contains(&word) || word.starts_with("DHE-") || word.starts_with("EDH-");
    match mask {
        0 if is_unused => Meaning::Unused,
        0 => Meaning::Lacking,
        mask => Meaning::Ours(mask),
    }
}

//! "Did you mean": the known word nearest to a mistyped one.
//!
//! Floor 0; the only file that names strsim.

/// The candidate within a third of `word`'s length (at least one) of edits, nearest first.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            let lower = candidate.to_ascii_lowercase();
            (strsim::damerau_levenshtein(&word, &lower), candidate)
        })
        .filter(|(edits, _)| *edits <= (word.chars().count() / 3).max(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "tcp"?`, or nothing.
pub(crate) fn suggestion<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        for (word, expected) in [
            ("nodelai", Some("nodelay")),
            ("TCP", Some("tcp")),
            ("backlgo", Some("backlog")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(
                nearest(word, ["nodelay", "tcp", "backlog"]),
                expected,
                "{word}"
            );
        }
    }
}

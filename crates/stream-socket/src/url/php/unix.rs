//! Paths and abstract names as PHP hands them to the kernel: cut where they do not fit.
//!
//! Floor 1.

/// The bytes of `sun_path` ([unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html)): an
/// abstract name may fill them, a path leaves one for the NUL that ends it.
const SUN_PATH_BYTES: usize = 108;

/// A path or an abstract name as PHP hands it to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct UnixTarget<'a> {
    /// What the kernel makes of it. A path: at most 107 bytes, up to its first NUL. An abstract
    /// name: the NUL it begins with, and at most 107 bytes after it. Empty: the kernel chooses an
    /// abstract name.
    pub name: &'a [u8],
    /// The target as written.
    pub written: &'a [u8],
    /// Whether it was over the limit, which PHP reports as a notice.
    pub truncated: bool,
}

impl UnixTarget<'_> {
    /// Whether the name is in the abstract namespace.
    pub fn is_abstract(&self) -> bool {
        self.name.first() == Some(&0)
    }

    /// How many bytes a name of this kind may have: the figure in PHP's notice.
    pub fn limit(&self) -> usize {
        unix_limit(self.written)
    }

    /// Whether the kernel gets what was written; if not, it binds or connects elsewhere.
    pub fn is_whole(&self) -> bool {
        self.name.len() == self.written.len()
    }
}

/// Reads the target of a local transport, which is what a registered transport is handed.
///
/// Never fails: what does not fit is cut, and said so.
pub fn unix_target(target: &[u8]) -> UnixTarget<'_> {
    let cut = &target[..target.len().min(unix_limit(target))];
    let name = match cut {
        [0, ..] => cut,
        path => path.split(|byte| *byte == 0).next().unwrap_or_default(),
    };
    UnixTarget {
        name,
        written: target,
        truncated: cut.len() < target.len(),
    }
}

fn unix_limit(target: &[u8]) -> usize {
    match target.first() {
        Some(0) => SUN_PATH_BYTES,
        _ => SUN_PATH_BYTES - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_names_are_cut_and_that_is_told() {
        let path = "p".repeat(109);
        let name = "\0".to_owned() + &"n".repeat(108);
        for (written, name, truncated, whole, limit) in [
            ("", "", false, true, 107),
            ("@a%20b?c", "@a%20b?c", false, true, 107),
            ("a\0b", "a", false, false, 107),
            (&path[..107], &path[..107], false, true, 107),
            (&path[..108], &path[..107], true, false, 107),
            ("\0", "\0", false, true, 108),
            ("\0a\0b", "\0a\0b", false, true, 108),
            (&name[..108], &name[..108], false, true, 108),
            (&name[..109], &name[..108], true, false, 108),
        ] {
            let target = unix_target(written.as_bytes());
            assert_eq!(target.name, name.as_bytes());
            assert_eq!(
                (target.truncated, target.is_whole()),
                (truncated, whole),
                "{written:?}"
            );
            assert_eq!(
                (target.limit(), target.is_abstract()),
                (limit, name.starts_with('\0'))
            );
        }
    }
}

//! The file of a unix socket: its mode and owner, when it is removed, and when it never is.

use std::env;
use std::fs::{self, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, chown};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::unistd::{User, getegid, geteuid};
use stream_socket::{DatagramSocket, Error, ListenOptions, Listener, Stage};

use crate::support::child::{self, NOBODY, Surroundings};
use crate::support::{assert_error, both_ends, listen};

/// A bound unix socket of either kind.
#[derive(Debug)]
enum Bound {
    Bytes(Box<Listener>),
    Datagrams(Box<DatagramSocket>),
}

fn bind(transport: &str, path: &Path, query: &str) -> Result<Bound, Error> {
    let url = format!("{transport}://{}{query}", path.display());
    let options = ListenOptions::default();
    match transport {
        "unix" => Listener::bind(&*url, &options).map(|bound| Bound::Bytes(Box::new(bound))),
        _ => DatagramSocket::bind(&*url, &options).map(|bound| Bound::Datagrams(Box::new(bound))),
    }
}

impl From<Bound> for OwnedFd {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::Bytes(listener) => (*listener).into(),
            Bound::Datagrams(socket) => (*socket).into(),
        }
    }
}

/// Runs a rule for both kinds of socket, with a path in a folder of its own; alone, so that what
/// is dead is so at once.
fn for_each<F: Fn(&str, &Path)>(rule: F) {
    child::run_as(child::test_name::<F>(), Surroundings::Alone, || {
        for transport in ["unix", "udg"] {
            let folder = tempfile::tempdir().unwrap();
            rule(transport, &folder.path().join("s"));
        }
    });
}

/// A socket file that no process has open any more.
fn leave_dead_socket(transport: &str, path: &Path) {
    match transport {
        "unix" => drop(UnixListener::bind(path).unwrap()),
        _ => drop(UnixDatagram::bind(path).unwrap()),
    }
}

fn look(path: &Path) -> Metadata {
    fs::symlink_metadata(path).unwrap()
}

fn permissions(path: &Path) -> u32 {
    look(path).mode() & 0o777
}

#[test]
fn the_mode_is_the_one_asked_for_whatever_the_umask() {
    for_each(|transport, path| {
        for mode in [0o600, 0o666, 0o777, 0o000] {
            let _bound = bind(transport, path, &format!("?mode={mode:04o}")).unwrap();
            assert_eq!(permissions(path), mode, "{transport}");
        }
    });
}

/// Somebody who looks at every instant sees no more than what was asked for.
#[test]
fn the_mode_is_never_wider_than_the_one_asked_for() {
    for_each(|transport, path| {
        for _ in 0..30 {
            let is_over = AtomicBool::new(false);
            let seen = thread::scope(|scope| {
                let watch = scope.spawn(|| {
                    let mut seen = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        seen |= fs::symlink_metadata(path).map_or(0, |file| file.mode() & 0o777);
                    }
                    seen
                });
                let bound = bind(transport, path, "?mode=0600");
                is_over.store(true, Ordering::Relaxed);
                drop(bound);
                watch.join().unwrap()
            });
            assert_eq!(seen & !0o600, 0, "{transport} was seen with mode {seen:o}");
        }
    });
}

#[test]
fn owner_and_group_are_set_by_number_and_by_name() {
    let name = User::from_uid(geteuid()).unwrap().map(|user| user.name);
    let by_name = name.unwrap_or_else(|| geteuid().to_string());
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    for_each(|transport, path| {
        for query in [
            format!("?owner={user}"),
            format!("?owner={by_name}"),
            format!("?group={group}&mode=0660"),
        ] {
            let _bound = bind(transport, path, &query).unwrap();
            assert_eq!(
                (look(path).uid(), look(path).gid()),
                (user, group),
                "{query}"
            );
        }
        if geteuid().is_root() {
            let _bound = bind(transport, path, &format!("?owner=nobody&group={NOBODY}")).unwrap();
            assert_eq!((look(path).uid(), look(path).gid()), (NOBODY, NOBODY));
        }
    });
}

#[test]
fn an_owner_that_is_unknown_or_refused_leaves_no_file() {
    child::run(Surroundings::OrdinaryUser, || {
        for_each(|transport, path| {
            let url = format!("{transport}://{}", path.display());
            let error = bind(transport, path, "?owner=no-such-user").unwrap_err();
            let sentence =
                format!("cannot parse {url}?owner=no-such-user: there is no user \"no-such-user\"");
            assert_error(&error, Stage::Parse, None, &sentence);
            let error = bind(transport, path, "?group=4").unwrap_err();
            let refused = "option group was refused: operation not permitted (EPERM)";
            let sentence = format!("cannot open {url}?group=4: {refused}");
            // A user namespace of one user knows no other, and says EINVAL.
            if error.errno() != Some(libc::EINVAL) {
                assert_error(&error, Stage::Socket, Some(libc::EPERM), &sentence);
            }
            assert!(!path.exists());
        });
    });
}

#[test]
fn a_dead_socket_of_ours_is_replaced_and_ours_is_removed_in_the_end() {
    for_each(|transport, path| {
        leave_dead_socket(transport, path);
        let before = look(path).ino();
        let bound = bind(transport, path, "").unwrap();
        assert!(look(path).file_type().is_socket());
        // On many file systems the number is given again at once, so the time is compared as well.
        let after = look(path);
        assert!(after.ino() != before || after.ctime_nsec() > 0);
        drop(bound);
        assert!(!path.exists(), "{transport}");
    });
}

#[test]
fn a_live_socket_is_never_replaced() {
    for_each(|transport, path| {
        let live = bind(transport, path, "").unwrap();
        let file = look(path).ino();
        let error = bind(transport, path, "").unwrap_err();
        assert_eq!(
            (error.stage(), error.errno()),
            (Stage::Bind, Some(libc::EADDRINUSE))
        );
        assert_eq!(look(path).ino(), file);
        if let Bound::Bytes(listener) = &live {
            both_ends(listener);
        }
    });
}

/// A connect that is refused for another reason than that nobody listens proves nothing.
#[test]
fn a_live_socket_of_the_other_kind_is_never_replaced() {
    for (first, second) in [("unix", "udg"), ("udg", "unix")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _live = bind(first, &path, "").unwrap();
        let error = bind(second, &path, "").unwrap_err();
        assert_eq!(error.errno(), Some(libc::EADDRINUSE));
        assert!(path.exists());
    }
}

#[test]
fn a_dead_socket_of_somebody_else_stays() {
    if !geteuid().is_root() {
        println!("not shown: only root can make a file that is somebody else's");
        return;
    }
    for_each(|transport, path| {
        leave_dead_socket(transport, path);
        chown(path, Some(NOBODY), None).unwrap();
        let error = bind(transport, path, "").unwrap_err();
        assert_eq!(
            (error.stage(), error.errno()),
            (Stage::Bind, Some(libc::EADDRINUSE))
        );
        assert_eq!(look(path).uid(), NOBODY);
    });
}

#[test]
fn without_unlink_nothing_is_removed() {
    for_each(|transport, path| {
        drop(bind(transport, path, "?unlink=0").unwrap());
        assert!(look(path).file_type().is_socket());
        let error = bind(transport, path, "?unlink=0").unwrap_err();
        assert_eq!(error.errno(), Some(libc::EADDRINUSE));
        drop(bind(transport, path, "?unlink=1").unwrap());
        assert!(!path.exists());
    });
}

#[test]
fn the_file_of_a_successor_stays() {
    for_each(|transport, path| {
        let first = bind(transport, path, "").unwrap();
        // The number of the first file can't be given to the second while it has another name.
        fs::hard_link(path, path.with_extension("kept")).unwrap();
        fs::remove_file(path).unwrap();
        let _second = bind(transport, path, "").unwrap();
        drop(first);
        assert!(path.exists(), "{transport}");
    });
}

#[test]
fn the_file_goes_with_the_descriptor_that_is_handed_over() {
    for_each(|transport, path| {
        let socket = OwnedFd::from(bind(transport, path, "").unwrap());
        assert!(path.exists(), "{transport}");
        drop(socket);
        assert!(
            path.exists(),
            "{transport}: it is the new owner's to remove"
        );
    });
}

#[test]
fn a_relative_path_is_removed_from_where_it_was_bound() {
    child::run(Surroundings::Alone, || {
        let folder = tempfile::tempdir().unwrap();
        env::set_current_dir(folder.path()).unwrap();
        let listener = listen("unix://relative");
        assert!(PathBuf::from("relative").exists());
        env::set_current_dir("/").unwrap();
        drop(listener);
        assert!(!folder.path().join("relative").exists());
    });
}

#[test]
fn a_socket_that_does_not_listen_yet_is_not_taken_for_dead() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unix://{}", folder.path().join("s").display());
    let mut options = ListenOptions::default();
    options.bind_only = true;
    let first = Listener::bind(&url, &options).unwrap();
    let error = Listener::bind(&url, &ListenOptions::default()).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EADDRINUSE));
    first.listen().unwrap();
    stream_socket::Stream::connect(&url, &Default::default()).unwrap();
    first.accept(Some(std::time::Duration::ZERO)).unwrap();
}

#[test]
fn a_clients_own_file_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("me");
    let server = Listener::bind("unix://@", &ListenOptions::default()).unwrap();
    let url = format!("{}?bind={}", server.url(), own.display());
    for _ in 0..2 {
        let client = stream_socket::Stream::connect(&url, &Default::default()).unwrap();
        assert!(own.exists());
        drop(client);
        assert!(!own.exists());
    }
}

#[cfg(feature = "simulation")]
#[test]
fn a_forked_child_leaves_the_file_to_its_parent() {
    use crate::support::child::{Surroundings, run};
    use stream_socket::simulation::in_forked_child;

    run(Surroundings::Alone, || {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let url = format!("unix://{}", path.display());
        let listener = Listener::bind(&url, &ListenOptions::default()).unwrap();
        let listener = std::cell::Cell::new(Some(listener));
        let child = || {
            drop(listener.take());
            path.exists()
        };
        assert!(in_forked_child(child, || {}), "the child removed it");
        drop(listener.take());
        assert!(!path.exists());
    });
}

//! The stripping of tags, as `fgetss.c` calls it.

use super::ffi::{Outcome, bytes};
use crate::strip_tags::TagStripper;

/// A stripper of tags, owned by C until [`ss_stripper_free`].
#[unsafe(no_mangle)]
pub(super) extern "C" fn ss_stripper_new(at_start: bool) -> *mut TagStripper {
    Box::into_raw(Box::new(TagStripper::new(at_start)))
}

/// Forgets a stripper.
///
/// # Safety
///
/// It came from [`ss_stripper_new`], and C gives it up.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_stripper_free(stripper: *mut TagStripper) {
    // SAFETY: as the caller promises.
    drop(unsafe { Box::from_raw(stripper) });
}

/// Takes the tags out of a piece, whose rest is the outcome's text; whether no tag is open.
///
/// # Safety
///
/// Pointers are as `shim.h` says.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn ss_strip(
    stripper: *mut TagStripper,
    piece: *const u8,
    length: usize,
    allowed: *const u8,
    allowed_length: usize,
    outcome: *mut Outcome,
) -> bool {
    // SAFETY: C passes a live stripper, which nothing else uses during the call.
    let stripper = unsafe { &mut *stripper };
    // SAFETY: C passes that many bytes, which stay as they are during the call.
    let piece = unsafe { bytes(piece, length) }.unwrap_or_default();
    // SAFETY: as above.
    let allowed = unsafe { bytes(allowed, allowed_length) }.unwrap_or_default();
    // SAFETY: C passes a zeroed outcome on its stack.
    let outcome = unsafe { &mut *outcome };
    let kept = outcome.of(|| {
        let mut kept = Vec::with_capacity(piece.len());
        stripper.strip(piece, allowed, &mut kept);
        Ok(kept)
    });
    outcome.tell(kept.unwrap_or_default());
    stripper.is_idle()
}

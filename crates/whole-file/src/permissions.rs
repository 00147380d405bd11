//! Owner, group and permissions of a file that replaces another.

use std::fs::{File, Metadata};

/// Gives `file` the owner, group and permissions of `replaced`, as far as the system allows: a file that was private
/// must not become public by being written again. What the system refuses leaves the file its owner's alone.
#[cfg(unix)]
pub(crate) fn keep(file: &File, replaced: &Metadata, is_link: bool) {
    use std::{
        fs::Permissions,
        os::unix::fs::{MetadataExt, PermissionsExt, fchown},
    };
    let Ok(now) = file.metadata() else { return };
    let (uid, gid) = (replaced.uid(), replaced.gid());
    let has_group = now.gid() == gid || fchown(file, None, Some(gid)).is_ok();
    if now.uid() != uid {
        let _ = fchown(file, Some(uid), None);
    }
    let mut mode = replaced.mode() & 0o777;
    if !has_group {
        mode &= !0o070;
    }
    if is_link {
        mode |= 0o200;
    }
    let _ = file.set_permissions(Permissions::from_mode(mode));
}

#[cfg(not(unix))]
pub(crate) fn keep(_file: &File, _replaced: &Metadata, _is_link: bool) {}

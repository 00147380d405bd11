//! What an interrupted command leaves: nothing.
//!
//! Files are written under temporary names, and a signal that ends the process leaves those behind. So a thread waits
//! for the signals that a user or a system sends to end a process. It removes the temporary files, then lets the signal
//! end the process as it would have: the shell sees the signal, 130 for Ctrl-C.

use std::{io, thread};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

/// Watches for signals from now on. Those that the parent told this process to ignore stay ignored: `nohup` ignores
/// SIGHUP.
pub(crate) fn watch() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| !is_ignored(signal)))?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            whole_file::abandon_unfinished();
            // Does not return for signals that end a process.
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

#[expect(unsafe_code, reason = "only the system knows how a signal is handled")]
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call changes nothing and writes the current one to `action`, for which zeros are
    // valid, so it is initialized whether the call succeeds or not.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

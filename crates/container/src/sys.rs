//! The only `unsafe` of the product: system calls that no safe library offers, each behind a
//! function that cannot be misused.

use std::ffi::{CStr, CString};
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

use rustix::process::Pid;

/// Proof that this process has one thread, so that [`fork`] is safe in it.
#[derive(Debug)]
pub struct SingleThreaded(PhantomData<*const ()>);

impl SingleThreaded {
    /// Looks; `None` if there are more threads.
    #[must_use]
    pub fn check() -> Option<Self> {
        let threads = crate::procfs::read(std::process::id().cast_signed())?.threads;
        (threads == 1).then_some(Self(PhantomData))
    }
}

/// Which side of a [`fork`] this is.
#[derive(Debug, Clone, Copy)]
pub enum Fork {
    /// The process that called; the child's id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// `fork(2)`. The child may do anything, because no other thread can have held a lock.
pub fn fork(_proof: &SingleThreaded) -> io::Result<Fork> {
    // SAFETY: `SingleThreaded` exists only in a process of one thread, and it cannot leave it.
    let result = unsafe { libc::fork() };
    match result {
        0 => Ok(Fork::Child),
        pid => match Pid::from_raw(pid) {
            Some(pid) if result > 0 => Ok(Fork::Parent(pid)),
            _ => Err(io::Error::last_os_error()),
        },
    }
}

/// `execve(2)`; returns only the error.
#[must_use]
pub fn execve(program: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const libc::c_char> {
        strings
            .iter()
            .map(|s| s.as_ptr())
            .chain([ptr::null()])
            .collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    // SAFETY: both arrays end with a null pointer and, like the strings they point to, outlive the
    // call.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    io::Error::last_os_error()
}

/// Closes every descriptor from `first` up, whoever opened it.
///
/// Only for a process that has just begun: it owns no descriptor there yet, or never comes back to
/// whoever does.
pub fn close_from(first: u32) {
    // SAFETY: takes integers only. Descriptors that an object of this process owns would be closed
    // under it; one caller runs this before it opens any, the other in a fork that ends without
    // using or dropping what was open before.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Makes `ps` show these arguments for this process, as far as they fit in the room its own have.
pub fn show_arguments(arguments: &[String]) {
    let Some((start, end)) = arguments_area() else {
        return;
    };
    let length = end - start;
    let mut text = arguments.join("\0").into_bytes();
    text.truncate(length - 1);
    text.resize(length, 0);
    let area = ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the kernel has put this process's arguments between these two addresses, in its
    // writable stack. Nobody holds a reference to them: the standard library copies them when it is
    // asked, and finds terminated strings afterwards too, since the last byte is zero.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr(), area, length) };
}

/// Where this process's arguments begin and end (`proc_pid_stat(5)`, fields 48 and 49).
fn arguments_area() -> Option<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may itself hold blanks; the field behind it is the third.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(48 - 3);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    (start > 0 && start < end).then_some((start, end))
}

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, as `initgroups(3)` would set them.
    pub groups: Vec<u32>,
}

/// Longest text of one entry of the user database, in bytes.
const PASSWD_BYTES: usize = 64 * 1024;
/// Most supplementary groups of a user (Linux: `NGROUPS_MAX`).
const GROUPS: usize = 65_536;

/// Looks a user up in the system's databases; `None` if there is no such user.
pub fn lookup_user(name: &str) -> io::Result<Option<Credentials>> {
    let Ok(name) = CString::new(name) else {
        return Ok(None);
    };
    let mut text = vec![0 as libc::c_char; PASSWD_BYTES];
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut found = ptr::null_mut();
    // SAFETY: all pointers are valid for the call, the buffer's length is its own.
    let error = unsafe {
        libc::getpwnam_r(
            name.as_ptr(),
            entry.as_mut_ptr(),
            text.as_mut_ptr(),
            text.len(),
            &raw mut found,
        )
    };
    if found.is_null() {
        return match error {
            0 | libc::ENOENT | libc::ESRCH => Ok(None),
            error => Err(io::Error::from_raw_os_error(error)),
        };
    }
    // SAFETY: a non-null result points to the entry, which the call has filled in.
    let (uid, gid) = unsafe { ((*found).pw_uid, (*found).pw_gid) };
    Ok(Some(Credentials {
        uid,
        gid,
        groups: groups_of(&name, gid)?,
    }))
}

fn groups_of(name: &CStr, gid: u32) -> io::Result<Vec<u32>> {
    let mut groups = vec![0; 64];
    loop {
        let mut count = libc::c_int::try_from(groups.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: `count` is the room in `groups`; the call writes at most that many.
        let result =
            unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
        if result >= 0 {
            groups.truncate(usize::try_from(count).unwrap_or(0));
            return Ok(groups);
        }
        if groups.len() >= GROUPS {
            return Err(io::Error::other("too many groups"));
        }
        groups.resize(groups.len() * 2, 0);
    }
}

/// The name of the user this process runs as, or its number where there is no name.
#[must_use]
pub fn current_user() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let mut text = vec![0 as libc::c_char; PASSWD_BYTES];
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut found = ptr::null_mut();
    // SAFETY: as in `lookup_user`.
    unsafe {
        libc::getpwuid_r(
            uid,
            entry.as_mut_ptr(),
            text.as_mut_ptr(),
            text.len(),
            &raw mut found,
        )
    };
    if found.is_null() {
        return uid.to_string();
    }
    // SAFETY: the entry's name is a terminated string inside `text`.
    unsafe { CStr::from_ptr((*found).pw_name) }
        .to_string_lossy()
        .into_owned()
}

/// Becomes another user for good. Plain system calls, so that it may also run between a fork in a
/// process of many threads and the exec; for that reason too it allocates nothing.
pub fn set_credentials(credentials: &Credentials) -> io::Result<()> {
    let Credentials { uid, gid, groups } = credentials;
    // SAFETY: the array's length is its own; the others take integers.
    let results = unsafe {
        [
            libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()),
            libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid),
            libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid),
        ]
    };
    match results {
        [0, 0, 0] => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The signals a supervisor waits for: a child ended, the agent asks to destroy.
pub const DESTROY_SIGNAL: libc::c_int = libc::SIGUSR1;

/// Blocks every signal that can be blocked; they are taken with [`wait_signal`].
pub fn block_signals() {
    // SAFETY: the set is initialised by `sigfillset` before use.
    unsafe {
        let mut set = MaybeUninit::uninit();
        libc::sigfillset(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), ptr::null_mut());
    }
}

/// Waits for `SIGCHLD` or [`DESTROY_SIGNAL`], both blocked; `None` when the time is up or a
/// signal of another kind interrupted.
#[must_use]
pub fn wait_signal(timeout: Option<Duration>) -> Option<libc::c_int> {
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: timeout.as_secs().cast_signed(),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    // SAFETY: the set is initialised by `sigemptyset`; the timeout is null or outlives the call.
    let signal = unsafe {
        let mut set = MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        libc::sigaddset(set.as_mut_ptr(), DESTROY_SIGNAL);
        let timeout = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        libc::sigtimedwait(set.as_ptr(), ptr::null_mut(), timeout)
    };
    (signal > 0).then_some(signal)
}

/// Gives every signal its default action and blocks none, as a new program expects to find them.
/// Safe between fork and exec.
pub fn reset_signals() {
    // The kernel's own `struct sigaction`, all zero: default action, no flags, empty mask. The
    // library's call refuses the two signals it keeps for itself, which may come ignored, too.
    let default = [0_u64; 4];
    // SAFETY: the action is large enough for every architecture and outlives the calls; the set is
    // initialised. Signals that cannot be changed just fail.
    unsafe {
        for signal in 1..=64 {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null::<u64>(),
                8,
            );
        }
        let mut set = MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), ptr::null_mut());
    }
}

/// Lets a write to a connection that is gone fail instead of ending the process, as the standard library
/// does before `main`.
pub fn ignore_broken_pipes() {
    // SAFETY: no handler is installed that could run anything.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}

/// Starts `command` with `before_exec` run in the new process, after the fork.
///
/// # Safety
///
/// The closure runs in a copy of a process that may have other threads: it must only make system
/// calls, and neither allocate nor lock.
pub unsafe fn spawn_after(
    command: &mut std::process::Command,
    before_exec: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) -> io::Result<std::process::Child> {
    use std::os::unix::process::CommandExt;
    // SAFETY: passed on to the caller.
    unsafe { command.pre_exec(before_exec) }.spawn()
}

/// Clock ticks a second, the unit of cpu times in `/proc`.
#[must_use]
pub fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// Gives what is free within the heap back to the kernel. The C library keeps it as long as something
/// behind it is in use: after 3,300 tasks that is two fifths of an agent's memory. Takes milliseconds,
/// and other threads that allocate meanwhile wait for it.
pub fn release_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

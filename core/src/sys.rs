//! Memory-mapped files, raw KV state, threads and processor time: the only module of the crate that
//! contains `unsafe`.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, c_void},
    fs::File,
    io,
    path::Path,
    ptr::NonNull,
    time::{Duration, Instant},
};

use llama_cpp_2::context::{LlamaContext, session::LlamaStateSeqFlags};
use llama_cpp_sys_2 as c;

/// A read-only memory-mapped file.
pub struct Mapped(memmap2::Mmap);

impl Mapped {
    /// Maps `path`.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // SAFETY: the mapping is read-only and private to this process. The remaining hazard is
        // another process that truncates the file while it is mapped. Packs are replaced by rename,
        // never in place, and docs/src/guides/building-packs.md states that rule for apps.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Self(map))
    }

    /// Lets the system reclaim the memory of pages in `range`. They are read again on their next
    /// use. Checking a large pack must not leave all of it resident.
    pub fn release(&self, range: std::ops::Range<usize>) {
        #[cfg(unix)]
        {
            const PAGE: usize = 1 << 16;
            let (start, end) = (range.start.next_multiple_of(PAGE), range.end.min(self.0.len()) / PAGE * PAGE);
            if start < end {
                // SAFETY: the mapping is a read-only view of a file, so a dropped page returns with
                // the same bytes. Failure costs memory only.
                let _ =
                    unsafe { self.0.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, start, end - start) };
            }
        }
    }
}

impl std::ops::Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Returns the KV state of one sequence, as llama.cpp writes it.
pub(crate) fn kv_state(context: &LlamaContext<'_>, sequence: i32) -> Vec<u8> {
    let flags = LlamaStateSeqFlags::empty();
    let mut bytes = vec![0; context.state_seq_get_size_ext(sequence, flags)];
    // SAFETY: the buffer has the length that llama.cpp has just returned, and the context is not
    // used in between.
    let written = unsafe { context.state_seq_get_data_ext(bytes.as_mut_ptr(), sequence, flags) };
    bytes.truncate(written);
    bytes
}

/// Restores a KV state. Returns false if llama.cpp does not accept it.
pub(crate) fn set_kv_state(context: &mut LlamaContext<'_>, sequence: i32, bytes: &[u8]) -> bool {
    // SAFETY: the only caller passes bytes from [`kv_state`] for the same model, KV type and build.
    // They come out of authenticated encryption under a secret key, bound to all of these.
    unsafe { context.state_seq_set_data_ext(bytes, sequence, LlamaStateSeqFlags::empty()) }
}

/// Resources that this process used between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spent {
    /// Elapsed time.
    pub(crate) wall: Duration,
    /// Processor time of all threads of the process.
    pub(crate) process: Duration,
    /// Processor time of the calling thread.
    pub(crate) caller: Duration,
    /// Number of pages read from disk.
    pub(crate) faults: i64,
}

impl Spent {
    pub(crate) fn add(&mut self, other: Self) {
        self.wall += other.wall;
        self.process += other.process;
        self.caller += other.caller;
        self.faults += other.faults;
    }
}

/// The start of a measurement.
pub(crate) struct Moment(Instant, Spent);

impl Moment {
    /// Returns the current moment, or `None` if the system does not report resource usage.
    pub(crate) fn now() -> Option<Self> {
        Some(Self(Instant::now(), spent()?))
    }

    /// Returns the resources used since this moment.
    pub(crate) fn spent(&self) -> Option<Spent> {
        let (then, now) = (self.1, spent()?);
        Some(Spent {
            wall: self.0.elapsed(),
            process: now.process.saturating_sub(then.process),
            caller: now.caller.saturating_sub(then.caller),
            faults: now.faults - then.faults,
        })
    }
}

/// Returns the processor time of the calling thread, or `None` if the system does not report it.
#[cfg(unix)]
pub(crate) fn thread_time() -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to its argument and to nothing else.
    let said = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) } == 0;
    said.then(|| Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))).flatten()
}

#[cfg(not(unix))]
pub(crate) fn thread_time() -> Option<Duration> {
    None
}

#[cfg(unix)]
fn spent() -> Option<Spent> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call writes to its argument and to nothing else.
    let said = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) } == 0;
    // SAFETY: all zeros is a valid value, and the call has filled it in.
    let usage = said.then(|| unsafe { usage.assume_init() })?;
    let time =
        |t: libc::timeval| Some(Duration::new(u64::try_from(t.tv_sec).ok()?, u32::try_from(t.tv_usec).ok()? * 1000));
    let process = time(usage.ru_utime)? + time(usage.ru_stime)?;
    let caller = thread_time()?;
    #[allow(clippy::useless_conversion)] // 32 bits on some systems.
    let faults = i64::from(usage.ru_majflt);
    Some(Spent { wall: Duration::ZERO, process, caller, faults })
}

#[cfg(not(unix))]
fn spent() -> Option<Spent> {
    None
}

/// Returns the address of a context's C structure. The binding exposes it only in its debug output.
fn address(context: &LlamaContext<'_>) -> Option<*mut c::llama_context> {
    let printed = format!("{context:?}");
    let (_, hex) = printed.split_once("0x")?;
    let digits = hex.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    let address = usize::from_str_radix(digits, 16).ok().filter(|&a| a != 0)?;
    Some(std::ptr::with_exposed_provenance_mut(address))
}

/// Threads that compute for one context, and sleep while there is nothing to compute.
pub(crate) struct ThreadPool {
    pool: NonNull<c::ggml_threadpool>,
    free: unsafe extern "C" fn(*mut c::ggml_threadpool),
}

// SAFETY: llama.cpp's pool is not bound to a thread. The decoder that owns it uses it from one
// thread at a time.
unsafe impl Send for ThreadPool {}

impl ThreadPool {
    /// Starts a pool of `threads`, the calling thread included, and attaches it to `context`.
    ///
    /// Returns `None` if llama.cpp has no pool, or if the context was opened for another number of
    /// threads. llama.cpp then starts threads for every call.
    ///
    /// The pool must live as long as the context decodes.
    pub(crate) fn attach(context: &mut LlamaContext<'_>, threads: i32) -> Option<Self> {
        type New = unsafe extern "C" fn(*mut c::ggml_threadpool_params) -> *mut c::ggml_threadpool;
        type Free = unsafe extern "C" fn(*mut c::ggml_threadpool);
        let context = address(context)?;
        // SAFETY: the address is that of a live, borrowed context. The functions are looked up by
        // their names, because the processor's code may be a library of its own. They have the
        // types that ggml-cpu.h declares for these names. The call copies the parameters, which
        // live until it returns. A created pool is freed once, by `drop`.
        unsafe {
            if c::llama_n_threads(context) != threads {
                return None;
            }
            let device = c::ggml_backend_dev_by_type(c::GGML_BACKEND_DEVICE_TYPE_CPU);
            let registry = NonNull::new(device).map(|d| c::ggml_backend_dev_backend_reg(d.as_ptr()))?;
            let function = |name: &CStr| NonNull::new(c::ggml_backend_reg_get_proc_address(registry, name.as_ptr()));
            let (new, free) = (function(c"ggml_threadpool_new")?, function(c"ggml_threadpool_free")?);
            let new = std::mem::transmute::<*mut c_void, New>(new.as_ptr());
            let free = std::mem::transmute::<*mut c_void, Free>(free.as_ptr());
            let mut params = c::ggml_threadpool_params_default(threads);
            params.poll = 0;
            let pool = NonNull::new(new(&raw mut params))?;
            c::llama_attach_threadpool(context, pool.as_ptr(), std::ptr::null_mut());
            Some(Self { pool, free })
        }
    }

    /// Makes the next calls of the context compute on the first `threads` threads of this pool,
    /// which must be attached to it.
    pub(crate) fn set(&self, context: &mut LlamaContext<'_>, threads: i32) {
        if let Some(context) = address(context) {
            // SAFETY: the address is that of a live, borrowed context. The call sets two numbers in
            // it.
            unsafe { c::llama_set_n_threads(context, threads, threads) };
        }
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        // SAFETY: the pool was created by `attach` and is freed nowhere else. Its decoder is the
        // only one that decodes on it, and drops the context first.
        unsafe { (self.free)(self.pool.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{DecoderOptions, LoadOptions, Model};

    #[test]
    fn a_context_computes_on_its_own_threads() {
        let dir = tempfile::tempdir().unwrap();
        let model = Model::load(locket_tests::tiny::write(dir.path()), LoadOptions::default()).unwrap();
        let most = std::thread::available_parallelism().unwrap().get();
        let decoder = model.decoder(DecoderOptions { context: 64, threads: 100_000, ..Default::default() }).unwrap();
        assert_eq!((decoder.options().threads, decoder.pool.is_some()), (most, most > 1));
    }

    #[test]
    fn time_spent_is_counted() {
        let moment = Moment::now().unwrap();
        let mut n = 0u64;
        while moment.spent().unwrap().caller < Duration::from_millis(30) {
            n = std::hint::black_box(n + 1);
        }
        let spent = moment.spent().unwrap();
        assert!(spent.wall >= Duration::from_millis(30) && spent.process >= Duration::from_millis(20), "{spent:?}");
    }
}

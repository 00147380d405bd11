//! The libraries, where they are installed, and the names of their functions.

use std::ffi::{CStr, c_char, c_int};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use libloading::Library;

/// A library that may be installed.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// What to install if none of the files exists.
    package: &'static str,
    /// Names for the loader, or paths from `.venv`, where `*` stands for one directory. An environment is named after
    /// its file of requirements.
    files: &'static [&'static str],
    /// Prefix and suffix of function names.
    prefix: &'static str,
    suffix: &'static str,
    /// Whether dimensions are 64-bit integers.
    wide: bool,
    set_threads: &'static str,
    version: &'static str,
}

pub(crate) const KNOWN: [Known; 4] = [
    Known {
        name: "openblas",
        package: "scipy-openblas64 from PyPI (requirements-openblas.txt)",
        files: &["openblas/lib/*/site-packages/scipy_openblas64/lib/libscipy_openblas64_.so"],
        prefix: "scipy_",
        suffix: "64_",
        wide: true,
        set_threads: "openblas_set_num_threads",
        version: "openblas_get_config",
    },
    Known {
        name: "openblas-debian",
        package: "libopenblas0-pthread from Debian",
        files: &["/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0", "libopenblas.so.0"],
        prefix: "",
        suffix: "",
        wide: false,
        set_threads: "openblas_set_num_threads",
        version: "openblas_get_config",
    },
    Known {
        name: "blis",
        package: "libblis4-pthread from Debian",
        files: &["/usr/lib/x86_64-linux-gnu/blis-pthread/libblis.so.4", "libblis.so.4"],
        prefix: "",
        suffix: "",
        wide: false,
        set_threads: "bli_thread_set_num_threads",
        version: "bli_info_get_version_str",
    },
    Known {
        name: "mkl",
        package: "mkl from PyPI (requirements-mkl.txt)",
        files: &["mkl/lib/libmkl_rt.so.2", "libmkl_rt.so.2", "mkl/lib/libmkl_rt.so.3", "libmkl_rt.so.3"],
        prefix: "",
        suffix: "",
        wide: false,
        set_threads: "MKL_Set_Num_Threads",
        version: "MKL_Get_Version_String",
    },
];

/// CBLAS constants: row-major, no transposition, transposed B.
const ROW_MAJOR: c_int = 101;
const AS_IT_IS: c_int = 111;
const TRANSPOSED: c_int = 112;

type Gemm<I> = unsafe extern "C" fn(c_int, c_int, c_int, I, I, I, f32, *const f32, I, *const f32, I, f32, *mut f32, I);
type Gemv<I> = unsafe extern "C" fn(c_int, c_int, I, I, f32, *const f32, I, *const f32, I, f32, *mut f32, I);

/// Functions whose dimensions have one integer width.
#[derive(Clone, Copy)]
enum Functions {
    Narrow(Gemm<i32>, Gemv<i32>),
    Wide(Gemm<i64>, Gemv<i64>),
}

/// A library that is loaded, with its threads set.
pub(crate) struct Blas {
    functions: Functions,
    pub(crate) version: String,
    /// Keeps the functions valid.
    _library: Library,
}

impl Known {
    /// Opens the library and sets its threads.
    pub(crate) fn open(&self, threads: NonZeroUsize) -> Result<Blas, String> {
        let library = self.load()?;
        let symbol = |name: &str| format!("{}{name}{}", self.prefix, self.suffix);
        // SAFETY: these are the names and types of CBLAS and of the library's own functions; `wide` says which width
        // its extents have. The function pointers live as long as the library, which is kept beside them.
        unsafe {
            let kernels = if self.name == "blis" { choose_blis_kernels(&library)? } else { String::new() };
            // Some take an int and some a 64-bit integer: the low half of the argument's register is the int.
            let set_threads = *find::<unsafe extern "C" fn(i64)>(&library, &symbol(self.set_threads))?;
            set_threads(i64::try_from(threads.get()).map_err(|error| error.to_string())?);
            let (gemm, gemv) = (symbol("cblas_sgemm"), symbol("cblas_sgemv"));
            let functions = match self.wide {
                true => Functions::Wide(*find(&library, &gemm)?, *find(&library, &gemv)?),
                false => Functions::Narrow(*find(&library, &gemm)?, *find(&library, &gemv)?),
            };
            let version = self.version(&library)? + &kernels;
            Ok(Blas { functions, version, _library: library })
        }
    }

    fn load(&self) -> Result<Library, String> {
        let mut why = Vec::new();
        for path in self.files.iter().flat_map(|file| places(file)) {
            // SAFETY: loading a BLAS library runs only its own initialization.
            match unsafe { Library::new(&path) } {
                Ok(library) => return Ok(library),
                Err(error) => why.push(error.to_string()),
            }
        }
        why.push(format!("install {}", self.package));
        Err(why.join("; "))
    }

    /// # Safety
    /// The library is the one that `self` describes.
    unsafe fn version(&self, library: &Library) -> Result<String, String> {
        let name = format!("{}{}{}", self.prefix, self.version, self.suffix);
        if self.name == "mkl" {
            let mut text = [0 as c_char; 200];
            // SAFETY: it writes at most as many bytes as the length that it is given, which is the buffer's.
            unsafe {
                find::<unsafe extern "C" fn(*mut c_char, c_int)>(library, &name)?(text.as_mut_ptr(), 199);
                return Ok(CStr::from_ptr(text.as_ptr()).to_string_lossy().trim().to_owned());
            }
        }
        // SAFETY: it returns a NUL-terminated string that lives as long as the library.
        unsafe {
            let text = find::<unsafe extern "C" fn() -> *const c_char>(library, &name)?();
            Ok(CStr::from_ptr(text).to_string_lossy().into_owned())
        }
    }
}

/// Makes BLIS use its AVX-512 kernels where the machine has the instructions, and gives the name of what it uses. By
/// default it chooses by family and model, and runs portable code on an unknown processor (flame/blis, issue 912).
///
/// # Safety
/// The library is BLIS, not used so far, and no other thread runs.
unsafe fn choose_blis_kernels(library: &Library) -> Result<String, String> {
    // SAFETY: these are the types of `bli_arch.h`: an enumeration, whose last name is "generic", and constant texts.
    unsafe {
        let name_of = find::<unsafe extern "C" fn(c_int) -> *const c_char>(library, "bli_arch_string")?;
        let name = |id: c_int| CStr::from_ptr(name_of(id)).to_string_lossy().into_owned();
        let count = (0..64).take_while(|&id| name(id) != "generic").count() as c_int;
        let wanted = if std::is_x86_feature_detected!("avx512bw") { "skx" } else { "haswell" };
        if let Some(id) = (0..count).find(|&id| name(id) == wanted) {
            std::env::set_var("BLIS_ARCH_TYPE", id.to_string());
        }
        find::<unsafe extern "C" fn()>(library, "bli_init")?();
        let chosen = find::<unsafe extern "C" fn() -> c_int>(library, "bli_arch_query_id")?();
        Ok(format!(" (kernels for {}, BLIS_ARCH_TYPE set)", name(chosen)))
    }
}

/// # Safety
/// The symbol has type `T`.
unsafe fn find<'l, T>(library: &'l Library, name: &str) -> Result<libloading::Symbol<'l, T>, String> {
    // SAFETY: the caller promises that the symbol has type `T`.
    unsafe { library.get(name.as_bytes()) }.map_err(|error| error.to_string())
}

/// Candidate paths of a file.
fn places(file: &str) -> Vec<PathBuf> {
    if file.starts_with('/') || !file.contains('/') {
        return vec![file.into()];
    }
    let environment = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.venv"));
    let Some((before, after)) = file.split_once("*/") else { return vec![environment.join(file)] };
    let directories = std::fs::read_dir(environment.join(before)).into_iter().flatten().flatten();
    let found: Vec<_> = directories.map(|entry| entry.path().join(after)).filter(|path| path.exists()).collect();
    if found.is_empty() { vec![environment.join(file)] } else { found }
}

impl Blas {
    /// C <- A B for row-major A (m x k), C (m x n), and B (k x n), stored column by column if `by_columns`. With one
    /// row it is the product of a matrix and a vector, as a user of BLAS would write it.
    pub(crate) fn product(
        &self,
        (m, n, k): (usize, usize, usize),
        by_columns: bool,
        a: &[f32],
        b: &[f32],
        c: &mut [f32],
    ) {
        assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n, "operands of the shape");
        let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        let trans = if by_columns { TRANSPOSED } else { AS_IT_IS };
        // B as it is stored: rows and columns.
        let (rows, cols) = if by_columns { (n, k) } else { (k, n) };
        let of_vector = if by_columns { AS_IT_IS } else { TRANSPOSED };
        // SAFETY: the slices hold as many elements as extents and strides say.
        unsafe {
            match self.functions {
                Functions::Narrow(gemm, gemv) => {
                    let i = |x: usize| x as i32;
                    match m {
                        1 => gemv(ROW_MAJOR, of_vector, i(rows), i(cols), 1.0, b, i(cols), a, 1, 0.0, c, 1),
                        _ => {
                            let (m, n, k, ldb) = (i(m), i(n), i(k), i(cols));
                            gemm(ROW_MAJOR, AS_IT_IS, trans, m, n, k, 1.0, a, k, b, ldb, 0.0, c, n);
                        }
                    }
                }
                Functions::Wide(gemm, gemv) => {
                    let i = |x: usize| x as i64;
                    match m {
                        1 => gemv(ROW_MAJOR, of_vector, i(rows), i(cols), 1.0, b, i(cols), a, 1, 0.0, c, 1),
                        _ => {
                            let (m, n, k, ldb) = (i(m), i(n), i(k), i(cols));
                            gemm(ROW_MAJOR, AS_IT_IS, trans, m, n, k, 1.0, a, k, b, ldb, 0.0, c, n);
                        }
                    }
                }
            }
        }
    }
}

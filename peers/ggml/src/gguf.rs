//! llama.cpp's `gguf_init_from_file` opens a model's file, without the data.

use std::ffi::{CStr, CString, c_char};
use std::fs;
use std::path::{Path, PathBuf};

use llama_cpp_sys_2 as sys;
use peer::{Case, Description, Implementation, Load, Ran, Refusal, found};

struct Ggml;

impl Implementation for Ggml {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("llama.cpp", "llama-cpp-sys-2 0.1.161", "gguf_init_from_file with no_alloc, one thread"))
    }

    fn load(&mut self, _: &Case, inputs: &Path) -> Load<'_> {
        let paths = peer::files_ending(inputs, ".gguf")?;
        let bytes: Vec<_> = paths.iter().map(fs::read).collect::<Result<_, _>>()?;
        let name = |path: &PathBuf| CString::new(path.to_string_lossy().as_bytes());
        let names: Vec<_> = paths.iter().map(name).collect::<Result<_, _>>().map_err(|error| refused(&error))?;
        let open = move || {
            let opened = names.iter().map(|name| Opened::new(name)).collect::<Option<Vec<_>>>();
            opened.ok_or("llama.cpp refuses it")
        };
        peer::remade(Ran::by("llama.cpp", "open, read, parse"), open, move |opened| {
            let files = opened.iter().zip(&bytes).enumerate();
            files.map(|(number, (file, bytes))| file.dump(number, bytes)).collect::<String>().into_bytes()
        })
    }
}

fn refused(error: &dyn ToString) -> Refusal {
    Refusal::Error(error.to_string())
}

/// A parsed header, with a context whose tensors have their shapes and no data.
struct Opened {
    file: *mut sys::gguf_context,
    tensors: *mut sys::ggml_context,
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: both came from `gguf_init_from_file`.
        unsafe {
            sys::gguf_free(self.file);
            sys::ggml_free(self.tensors);
        }
    }
}

impl Opened {
    fn new(name: &CStr) -> Option<Self> {
        let mut tensors = std::ptr::null_mut();
        let params = sys::gguf_init_params { no_alloc: true, ctx: &mut tensors };
        // SAFETY: the name ends with a NUL, and `tensors` outlives the call.
        let file = unsafe { sys::gguf_init_from_file(name.as_ptr(), params) };
        (!file.is_null()).then_some(Self { file, tensors })
    }

    /// The lines that all readers are compared by; see `crates/assay/src/implementations/gguf.rs`.
    fn dump(&self, number: usize, bytes: &[u8]) -> String {
        // SAFETY: `file` is a parsed header, and the indices are below its counts.
        let lines = unsafe {
            let keys = (0..sys::gguf_get_n_kv(self.file))
                .map(|i| format!("K\t{}\t{}\n", text(sys::gguf_get_key(self.file, i)), self.value(i)));
            let tensors = (0..sys::gguf_get_n_tensors(self.file)).map(|i| self.tensor(i, bytes));
            keys.chain(tensors).collect::<Vec<_>>()
        };
        found::lines(number, lines)
    }

    unsafe fn tensor(&self, i: i64, bytes: &[u8]) -> String {
        // SAFETY: `i` is the index of a tensor, which the context has under the same name.
        unsafe {
            let name = sys::gguf_get_tensor_name(self.file, i);
            let ne = (*sys::ggml_get_tensor(self.tensors, name)).ne;
            let dims = found::dims(&ne.map(|n| n as u64));
            let start = sys::gguf_get_data_offset(self.file) + sys::gguf_get_tensor_offset(self.file, i);
            let size = sys::gguf_get_tensor_size(self.file, i);
            let data = bytes.get(start..start + size).map_or_else(|| "beyond the end".to_owned(), found::hash);
            let ty = sys::gguf_get_tensor_type(self.file, i);
            format!("T\t{}\t{ty}\t{dims}\t{start}\t{data}\n", text(name))
        }
    }

    unsafe fn value(&self, i: i64) -> String {
        // SAFETY: `i` is the index of a key, and each getter is that of the key's type.
        unsafe {
            let file = self.file;
            match sys::gguf_get_kv_type(file, i) {
                sys::GGUF_TYPE_UINT8 => sys::gguf_get_val_u8(file, i).to_string(),
                sys::GGUF_TYPE_INT8 => sys::gguf_get_val_i8(file, i).to_string(),
                sys::GGUF_TYPE_UINT16 => sys::gguf_get_val_u16(file, i).to_string(),
                sys::GGUF_TYPE_INT16 => sys::gguf_get_val_i16(file, i).to_string(),
                sys::GGUF_TYPE_UINT32 => sys::gguf_get_val_u32(file, i).to_string(),
                sys::GGUF_TYPE_INT32 => sys::gguf_get_val_i32(file, i).to_string(),
                sys::GGUF_TYPE_UINT64 => sys::gguf_get_val_u64(file, i).to_string(),
                sys::GGUF_TYPE_INT64 => sys::gguf_get_val_i64(file, i).to_string(),
                sys::GGUF_TYPE_FLOAT32 => found::float(sys::gguf_get_val_f32(file, i)),
                sys::GGUF_TYPE_FLOAT64 => found::float(sys::gguf_get_val_f64(file, i)),
                sys::GGUF_TYPE_BOOL => sys::gguf_get_val_bool(file, i).to_string(),
                sys::GGUF_TYPE_STRING => found::hash(CStr::from_ptr(sys::gguf_get_val_str(file, i)).to_bytes()),
                sys::GGUF_TYPE_ARRAY => self.array(i),
                other => format!("type {other}"),
            }
        }
    }

    unsafe fn array(&self, i: i64) -> String {
        /// The elements of an array of plain numbers.
        ///
        /// # Safety
        /// Key `i` is an array of `n` elements of type `T`.
        unsafe fn numbers<T>(
            file: *const sys::gguf_context,
            i: i64,
            n: usize,
            text: impl Fn(T) -> String,
        ) -> Vec<String> {
            // SAFETY: the caller promises `n` elements of type `T`; reads are unaligned.
            unsafe {
                let data = sys::gguf_get_arr_data(file, i).cast::<T>();
                (0..n).map(|k| text(data.add(k).read_unaligned())).collect()
            }
        }
        let file = self.file;
        // SAFETY: `i` is the index of an array whose element type was checked before.
        let elements = unsafe {
            let n = sys::gguf_get_arr_n(file, i);
            match sys::gguf_get_arr_type(file, i) {
                sys::GGUF_TYPE_STRING => {
                    let string = |k| CStr::from_ptr(sys::gguf_get_arr_str(file, i, k)).to_bytes();
                    (0..n).map(|k| found::hash(string(k))).collect()
                }
                sys::GGUF_TYPE_UINT8 => numbers(file, i, n, |x: u8| x.to_string()),
                sys::GGUF_TYPE_INT8 => numbers(file, i, n, |x: i8| x.to_string()),
                sys::GGUF_TYPE_UINT16 => numbers(file, i, n, |x: u16| x.to_string()),
                sys::GGUF_TYPE_INT16 => numbers(file, i, n, |x: i16| x.to_string()),
                sys::GGUF_TYPE_UINT32 => numbers(file, i, n, |x: u32| x.to_string()),
                sys::GGUF_TYPE_INT32 => numbers(file, i, n, |x: i32| x.to_string()),
                sys::GGUF_TYPE_UINT64 => numbers(file, i, n, |x: u64| x.to_string()),
                sys::GGUF_TYPE_INT64 => numbers(file, i, n, |x: i64| x.to_string()),
                sys::GGUF_TYPE_FLOAT32 => numbers(file, i, n, |x: f32| found::float(x)),
                sys::GGUF_TYPE_FLOAT64 => numbers(file, i, n, |x: f64| found::float(x)),
                sys::GGUF_TYPE_BOOL => numbers(file, i, n, |x: u8| (x != 0).to_string()),
                other => vec![format!("type {other}")],
            }
        };
        found::array(&elements)
    }
}

unsafe fn text(name: *const c_char) -> String {
    // SAFETY: the caller's name ends with a NUL.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

fn main() -> std::io::Result<()> {
    peer::serve(&mut Ggml)
}

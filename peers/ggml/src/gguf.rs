//! llama.cpp's `gguf_init_from_file` opens a model's file, without the data.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::fs;
use std::path::Path;
use std::rc::Rc;

use llama_cpp_sys_2 as sys;
use peer::{Case, Contestant, Description, Loaded, Refusal};

struct Ggml;

impl Contestant for Ggml {
    fn describe(&mut self) -> Result<Description, String> {
        Ok(Description::new("llama.cpp", "llama-cpp-sys-2 0.1.161", "gguf_init_from_file with no_alloc, one thread"))
    }

    fn load(&mut self, _: &Case, inputs: &Path) -> Result<Loaded<'_>, Refusal> {
        let path = inputs.join("model.gguf");
        let bytes = fs::read(&path)?;
        let name =
            CString::new(path.to_string_lossy().as_bytes()).map_err(|error| Refusal::Error(error.to_string()))?;
        let opened = Rc::new(RefCell::new(Opened::new(&name).ok_or_else(|| Refusal::Error("refused".to_owned()))?));
        let shown = opened.clone();
        let run = move || {
            // It could be opened before.
            if let Some(file) = Opened::new(&name) {
                *opened.borrow_mut() = file;
            }
        };
        Ok(Loaded::new("open, read, parse", run, move || shown.borrow().dump(&bytes)))
    }
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

    /// The lines that every contestant makes; see `crates/assay/src/contest/gguf.rs`.
    fn dump(&self, bytes: &[u8]) -> Vec<u8> {
        // SAFETY: `file` is a parsed header, and the indices are below its counts.
        let mut lines = unsafe {
            let keys = (0..sys::gguf_get_n_kv(self.file))
                .map(|i| format!("K\t{}\t{}\n", text(sys::gguf_get_key(self.file, i)), self.value(i)));
            let tensors = (0..sys::gguf_get_n_tensors(self.file)).map(|i| self.tensor(i, bytes));
            keys.chain(tensors).collect::<Vec<_>>()
        };
        lines.sort_unstable();
        lines.concat().into_bytes()
    }

    unsafe fn tensor(&self, i: i64, bytes: &[u8]) -> String {
        // SAFETY: `i` is the index of a tensor, which the context has under the same name.
        unsafe {
            let name = sys::gguf_get_tensor_name(self.file, i);
            let ne = (*sys::ggml_get_tensor(self.tensors, name)).ne;
            let mut dims = &ne[..];
            while let [before @ .., 1] = dims {
                dims = before;
            }
            let dims: Vec<_> = dims.iter().map(i64::to_string).collect();
            let start = sys::gguf_get_data_offset(self.file) + sys::gguf_get_tensor_offset(self.file, i);
            let size = sys::gguf_get_tensor_size(self.file, i);
            let data = bytes.get(start..start + size).map_or_else(|| "beyond the end".to_owned(), hash);
            let ty = sys::gguf_get_tensor_type(self.file, i);
            format!("T\t{}\t{ty}\t{}\t{start}\t{data}\n", text(name), dims.join(","))
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
                sys::GGUF_TYPE_FLOAT32 => format!("{:016x}", f64::from(sys::gguf_get_val_f32(file, i)).to_bits()),
                sys::GGUF_TYPE_FLOAT64 => format!("{:016x}", sys::gguf_get_val_f64(file, i).to_bits()),
                sys::GGUF_TYPE_BOOL => sys::gguf_get_val_bool(file, i).to_string(),
                sys::GGUF_TYPE_STRING => hash(CStr::from_ptr(sys::gguf_get_val_str(file, i)).to_bytes()),
                sys::GGUF_TYPE_ARRAY => self.array(i),
                other => format!("type {other}"),
            }
        }
    }

    unsafe fn array(&self, i: i64) -> String {
        // SAFETY: `i` is the index of an array of the type that is asked for first.
        let elements: Vec<String> = unsafe {
            let n = sys::gguf_get_arr_n(self.file, i);
            match sys::gguf_get_arr_type(self.file, i) {
                sys::GGUF_TYPE_STRING => {
                    (0..n).map(|k| hash(CStr::from_ptr(sys::gguf_get_arr_str(self.file, i, k)).to_bytes())).collect()
                }
                sys::GGUF_TYPE_INT32 => {
                    let data = sys::gguf_get_arr_data(self.file, i).cast::<i32>();
                    (0..n).map(|k| data.add(k).read_unaligned().to_string()).collect()
                }
                other => vec![format!("type {other}")],
            }
        };
        format!("{} {}", elements.len(), hash(elements.join("\n").as_bytes()))
    }
}

unsafe fn text(name: *const c_char) -> String {
    // SAFETY: the caller's name ends with a NUL.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

/// FNV-1a of 64 bits.
fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

fn main() -> std::io::Result<()> {
    peer::serve(&mut Ggml)
}

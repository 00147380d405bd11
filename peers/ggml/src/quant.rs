//! ggml's row functions: `dequantize_row_*`, `quantize_row_*_ref`, and for F16 and BF16 the vector code of its CPU
//! backend.

use std::cell::RefCell;
use std::ffi::{CStr, c_void};
use std::path::Path;
use std::rc::Rc;

use llama_cpp_sys_2 as sys;
use peer::{Case, Closures, Description, Implementation, Load, Ran, Refusal};

use types::type_id;

mod types;

type ToFloat = unsafe extern "C" fn(*const c_void, *mut f32, i64);
type FromFloat = unsafe extern "C" fn(*const f32, *mut c_void, i64);

// Exported by the library, but not in the headers that the bindings are made of.
unsafe extern "C" {
    fn dequantize_row_q8_K(blocks: *const c_void, out: *mut f32, len: i64);
    fn quantize_row_q8_K_ref(x: *const f32, blocks: *mut c_void, len: i64);
    fn quantize_row_q8_1_ref(x: *const f32, blocks: *mut c_void, len: i64);
    fn quantize_row_iq4_nl_ref(x: *const f32, blocks: *mut c_void, len: i64);
    fn ggml_cpu_fp16_to_fp32(halves: *const c_void, out: *mut f32, len: i64);
    fn ggml_cpu_bf16_to_fp32(halves: *const c_void, out: *mut f32, len: i64);
}

struct Ggml;

impl Implementation for Ggml {
    fn describe(&mut self) -> Result<Description, String> {
        // SAFETY: returns a text that lives as long as the process.
        let system = unsafe { CStr::from_ptr(sys::llama_print_system_info()) }.to_string_lossy().into_owned();
        Ok(Description::new("ggml", "llama-cpp-sys-2 0.1.161", format!("one thread; {}", system.trim())))
    }

    fn load(&mut self, case: &Case, inputs: &Path) -> Load<'_> {
        let (name, len) = (case.text("type")?, case.number("n")?);
        let id = type_id(name).ok_or_else(|| Refusal::Unsupported(format!("ggml has no type {name}")))?;
        // SAFETY: the id is one of ggml's.
        let traits = unsafe { &*sys::ggml_get_type_traits(id) };
        let size = len / traits.blck_size as usize * traits.type_size;
        if case.text("work")? == "dequantize" {
            let (ran, function) = to_float(name, traits.to_float)?;
            let bytes = std::fs::read(inputs.join("blocks"))?;
            if bytes.len() != size {
                return Err(Refusal::Error(format!("{} bytes of blocks, ggml wants {size}", bytes.len())));
            }
            // Blocks hold 16-bit and 32-bit fields; a vector of words aligns them.
            let mut blocks = vec![0_u64; size.div_ceil(8)];
            // SAFETY: `blocks` has room for `size` bytes.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), blocks.as_mut_ptr().cast(), size) };
            let out = Rc::new(RefCell::new(vec![0.0_f32; len]));
            let shown = out.clone();
            // SAFETY: as many blocks as make `len` numbers, and room for them.
            let run = move || unsafe { function(blocks.as_ptr().cast(), out.borrow_mut().as_mut_ptr(), len as i64) };
            let one_nan = |x: f32| if x.is_nan() { f32::from_bits(0x7fc0_0000) } else { x };
            let output = move || shown.borrow().iter().flat_map(|&x| one_nan(x).to_le_bytes()).collect();
            Ok(Closures::boxed(Ran::by("ggml", ran), run, output))
        } else {
            let (ran, function) = from_float(name, traits.from_float_ref)?;
            let x = peer::read_f32(&inputs.join("x"))?;
            let out = Rc::new(RefCell::new(vec![0_u64; size.div_ceil(8)]));
            let shown = out.clone();
            // SAFETY: `len` numbers, and room for their blocks.
            let run = move || unsafe { function(x.as_ptr(), out.borrow_mut().as_mut_ptr().cast(), len as i64) };
            let output = move || shown.borrow().iter().flat_map(|word| word.to_ne_bytes()).take(size).collect();
            Ok(Closures::boxed(Ran::by("ggml", ran), run, output))
        }
    }
}

fn to_float(name: &str, generic: Option<ToFloat>) -> Result<(&'static str, ToFloat), Refusal> {
    match name {
        "F16" => Ok(("ggml_cpu_fp16_to_fp32", ggml_cpu_fp16_to_fp32)),
        "BF16" => Ok(("ggml_cpu_bf16_to_fp32", ggml_cpu_bf16_to_fp32)),
        "Q8_K" => Ok(("dequantize_row_q8_K", dequantize_row_q8_K)),
        _ => {
            let function = generic.ok_or_else(|| Refusal::Unsupported(format!("ggml does not dequantize {name}")))?;
            Ok(("to_float", function))
        }
    }
}

fn from_float(name: &str, generic: Option<FromFloat>) -> Result<(&'static str, FromFloat), Refusal> {
    match name {
        "Q8_K" => Ok(("quantize_row_q8_K_ref", quantize_row_q8_K_ref)),
        "Q8_1" => Ok(("quantize_row_q8_1_ref", quantize_row_q8_1_ref)),
        "IQ4_NL" => Ok(("quantize_row_iq4_nl_ref", quantize_row_iq4_nl_ref)),
        _ => {
            let function = generic.ok_or_else(|| Refusal::Unsupported(format!("ggml does not quantize to {name}")))?;
            Ok(("from_float_ref", function))
        }
    }
}

fn main() -> std::io::Result<()> {
    peer::serve(&mut Ggml)
}

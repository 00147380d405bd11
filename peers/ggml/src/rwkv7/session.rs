//! A model and its context, by llama.cpp's C API.

use std::ffi::{CString, c_char, c_void};
use std::path::Path;

use llama_cpp_sys_2 as sys;

/// How a model is loaded and run.
#[derive(Clone, Copy)]
pub struct Settings {
    /// Whether weights may be rearranged into buffers of their own, llama.cpp's default; else they stay in the file.
    pub extra_buffers: bool,
    pub threads: i32,
}

/// A vocabulary alone, or a model whose weights are mapped.
pub struct Model(*mut sys::llama_model);

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: it came from `llama_model_load_from_file`, and what was made of it is gone.
        unsafe { sys::llama_model_free(self.0) }
    }
}

impl Model {
    pub fn open(path: &Path, settings: Settings, vocabulary_only: bool) -> Result<Self, String> {
        let name = CString::new(path.to_string_lossy().as_bytes()).map_err(|error| error.to_string())?;
        // SAFETY: the name ends with a NUL; the defaults are changed in plain fields.
        let model = unsafe {
            let mut params = sys::llama_model_default_params();
            params.n_gpu_layers = 0;
            params.load_mode = sys::LLAMA_LOAD_MODE_MMAP;
            params.use_extra_bufts = settings.extra_buffers;
            params.vocab_only = vocabulary_only;
            sys::llama_model_load_from_file(name.as_ptr(), params)
        };
        if model.is_null() { Err("llama.cpp refuses the model".to_owned()) } else { Ok(Self(model)) }
    }

    /// The tokens of a text, which may hold any bytes. No token is added, and none is read from its spelling.
    pub fn encode(&self, text: &[u8]) -> Result<Vec<sys::llama_token>, String> {
        let mut tokens = vec![0; text.len() + 1];
        // SAFETY: `text` and `tokens` are as long as they are said to be.
        let count = unsafe {
            let vocabulary = sys::llama_model_get_vocab(self.0);
            let from = text.as_ptr().cast::<c_char>();
            sys::llama_tokenize(
                vocabulary,
                from,
                text.len() as i32,
                tokens.as_mut_ptr(),
                tokens.len() as i32,
                false,
                false,
            )
        };
        let count = usize::try_from(count).map_err(|_| format!("llama_tokenize gives {count}"))?;
        tokens.truncate(count);
        Ok(tokens)
    }
}

/// A model at work. Fields are dropped in this order.
pub struct Session {
    context: Context,
    pub model: Model,
    vocabulary: usize,
}

struct Context(*mut sys::llama_context);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it came from `llama_init_from_model`.
        unsafe { sys::llama_free(self.0) }
    }
}

impl Session {
    /// From the path of a file to a context that can take tokens.
    pub fn open(path: &Path, settings: Settings) -> Result<Self, String> {
        let model = Model::open(path, settings, false)?;
        // SAFETY: the model is loaded; the defaults are changed in plain fields.
        let (context, vocabulary) = unsafe {
            let mut params = sys::llama_context_default_params();
            params.n_ctx = 1024;
            params.n_threads = settings.threads;
            params.n_threads_batch = settings.threads;
            params.no_perf = true;
            let vocabulary = sys::llama_vocab_n_tokens(sys::llama_model_get_vocab(model.0));
            (Context(sys::llama_init_from_model(model.0, params)), vocabulary)
        };
        if context.0.is_null() {
            return Err("llama.cpp makes no context".to_owned());
        }
        Ok(Self { context, model, vocabulary: usize::try_from(vocabulary).map_err(|error| error.to_string())? })
    }

    /// Forgets all tokens.
    pub fn reset(&mut self) {
        // SAFETY: the context lives.
        unsafe { sys::llama_memory_clear(sys::llama_get_memory(self.context.0), true) }
    }

    /// Takes tokens in one batch, at most 512, and gives the logits of the last one.
    pub fn last(&mut self, tokens: &mut [sys::llama_token]) -> Result<&[f32], String> {
        // SAFETY: the batch borrows the tokens for this call; logits of its last token are kept until the next one.
        unsafe {
            let batch = sys::llama_batch_get_one(tokens.as_mut_ptr(), tokens.len() as i32);
            self.decode(batch)?;
            self.row(-1)
        }
    }

    /// Takes tokens in batches of so many, and gives the logits of each: positions x vocabulary.
    pub fn all(&mut self, tokens: &[sys::llama_token], batch: usize) -> Result<Vec<f32>, String> {
        let mut logits = Vec::with_capacity(tokens.len() * self.vocabulary);
        for (part, tokens) in tokens.chunks(batch).enumerate() {
            // SAFETY: the batch has room for `batch` tokens of one sequence each.
            unsafe {
                let mut filled = sys::llama_batch_init(batch as i32, 0, 1);
                filled.n_tokens = tokens.len() as i32;
                for (at, &token) in tokens.iter().enumerate() {
                    *filled.token.add(at) = token;
                    *filled.pos.add(at) = (part * batch + at) as i32;
                    *filled.n_seq_id.add(at) = 1;
                    **filled.seq_id.add(at) = 0;
                    *filled.logits.add(at) = 1;
                }
                let decoded = self.decode(filled);
                sys::llama_batch_free(filled);
                decoded?;
                for at in 0..tokens.len() {
                    logits.extend_from_slice(self.row(at as i32)?);
                }
            }
        }
        Ok(logits)
    }

    /// # Safety
    /// The batch points to as many tokens as it says.
    unsafe fn decode(&mut self, batch: sys::llama_batch) -> Result<(), String> {
        // SAFETY: the caller's promise.
        match unsafe { sys::llama_decode(self.context.0, batch) } {
            0 => Ok(()),
            code => Err(format!("llama_decode gives {code}")),
        }
    }

    /// # Safety
    /// The last batch asked for the logits of this token.
    unsafe fn row(&self, at: i32) -> Result<&[f32], String> {
        // SAFETY: a pointer that is not null is to as many numbers as the vocabulary has tokens.
        unsafe {
            let row = sys::llama_get_logits_ith(self.context.0, at);
            if row.is_null() {
                return Err("llama.cpp gives no logits".to_owned());
            }
            Ok(std::slice::from_raw_parts(row, self.vocabulary))
        }
    }
}

/// The token with the largest logit.
pub fn greedy(logits: &[f32]) -> sys::llama_token {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, &logit) in (0..).zip(logits) {
        if logit > best.1 {
            best = (token, logit);
        }
    }
    best.0
}

/// Loads llama.cpp's backends and silences its reports.
pub fn start() {
    unsafe extern "C" fn silent(_: sys::ggml_log_level, _: *const c_char, _: *mut c_void) {}
    // SAFETY: the function has the wanted signature and does nothing.
    unsafe {
        sys::llama_log_set(Some(silent), std::ptr::null_mut());
        sys::llama_backend_init();
    }
}

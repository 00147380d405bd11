//! Products on ggml's C interface, called as llama.cpp calls it: weights in buffers of a chosen type, one graph for
//! each copy of them, a plan and a pool of threads that are made before.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use llama_cpp_sys_2 as sys;
use peer::{Refusal, Rotation};

// Exported by the library, but not in the headers that the bindings are made of.
unsafe extern "C" {
    /// Bytes that the tiled kernel needs; 0 if it is switched off or does not have the type.
    fn ggml_tiled_wdata_size(n_tasks: c_int, product: *mut sys::ggml_tensor) -> usize;
}

/// Fewest rows that ggml gives to its tiled kernel.
const TILED_ROWS: usize = 8;
/// Nodes and leaves of a graph: one product of two operands.
const GRAPH_SIZE: usize = 8;

/// Threads that wait for graphs. ggml's default: they poll for a while, then sleep.
pub(crate) struct ThreadPool {
    pool: *mut sys::ggml_threadpool,
    threads: c_int,
}

impl ThreadPool {
    /// `threads` threads, the caller's included.
    pub(crate) fn new(threads: usize) -> Option<Self> {
        let threads = c_int::try_from(threads).ok()?;
        // SAFETY: the parameters are ggml's own for this number and outlive the call.
        let pool = unsafe { sys::ggml_threadpool_new(&mut sys::ggml_threadpool_params_default(threads)) };
        (!pool.is_null()).then_some(Self { pool, threads })
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        // SAFETY: it came from `ggml_threadpool_new`, and no product outlives it.
        unsafe { sys::ggml_threadpool_free(self.pool) };
    }
}

/// y = x Wᵀ with row-major x (m x k) and y (m x n), and W of n rows of k numbers.
#[derive(Clone, Copy)]
pub(crate) struct Operands<'a> {
    /// Type of W.
    pub(crate) ty: sys::ggml_type,
    /// m, n and k.
    pub(crate) extents: (usize, usize, usize),
    /// x, of f32 or of W's type.
    pub(crate) x: &'a [u8],
    /// W.
    pub(crate) weights: &'a [u8],
}

impl Operands<'_> {
    /// The type of x.
    fn checked(&self) -> Result<sys::ggml_type, Refusal> {
        let (m, n, k) = self.extents;
        // SAFETY: the id is one of ggml's.
        let block = unsafe { sys::ggml_blck_size(self.ty) } as usize;
        if m == 0 || n == 0 || k == 0 || k % block != 0 {
            return Err(Refusal::Unsupported(format!("no products of {m} x {n} x {k} in blocks of {block}")));
        }
        // SAFETY: as above, and k is a number of whole blocks.
        let row = unsafe { sys::ggml_row_size(self.ty, k as i64) };
        if self.weights.len() != n * row {
            return Err(Refusal::Error(format!("{} bytes of weights, ggml wants {}", self.weights.len(), n * row)));
        }
        match self.x.len() {
            bytes if bytes == 4 * m * k => Ok(sys::GGML_TYPE_F32),
            bytes if bytes == 2 * m * k && [sys::GGML_TYPE_F16, sys::GGML_TYPE_BF16].contains(&self.ty) => Ok(self.ty),
            bytes => Err(Refusal::Error(format!("{bytes} bytes of activations for {m} x {k}"))),
        }
    }
}

/// Products of the same activations with each copy of the weights in turn.
pub(crate) struct Products<'a> {
    /// Owns the tensors of the weights.
    _weights: Context,
    /// Owns the other tensors and the graphs.
    _graphs: Context,
    _buffer: Buffer,
    _x: Vec<Line>,
    y: Vec<Line>,
    _work: Vec<Line>,
    len: usize,
    plans: Rotation<Plan>,
    path: &'static str,
    _pool: &'a ThreadPool,
}

/// A product and how its threads share it.
struct Plan {
    graph: *mut sys::ggml_cgraph,
    plan: sys::ggml_cplan,
}

impl<'a> Products<'a> {
    /// `copies` copies of the weights, at least one, in buffers of the type with this name.
    ///
    /// # Errors
    /// What ggml does not multiply, and operands of another size than the extents say.
    pub(crate) fn new(
        operands: Operands<'_>,
        buffers: &str,
        copies: usize,
        pool: &'a ThreadPool,
    ) -> Result<Self, Refusal> {
        let x_type = operands.checked()?;
        let (m, n, k) = operands.extents;
        let kind =
            buffer_type(buffers).ok_or_else(|| Refusal::Unsupported(format!("ggml has no {buffers} buffers")))?;
        // SAFETY: these take sizes and return sizes.
        let (tensor, graph) =
            unsafe { (sys::ggml_tensor_overhead(), sys::ggml_graph_overhead_custom(GRAPH_SIZE, false)) };
        let of_weights = Context::new(copies * tensor)?;
        let of_graphs = Context::new((copies + 1) * tensor + copies * graph)?;
        let (mut x, mut y) = (lines(operands.x.len()), lines(4 * m * n));
        // SAFETY: `x` has room for the bytes.
        unsafe { ptr::copy_nonoverlapping(operands.x.as_ptr(), x.as_mut_ptr().cast(), operands.x.len()) };

        // SAFETY: the contexts have room for as many tensors and graphs. Tensors of weights get their memory from the
        // buffer, which holds each whole; x and y point at the lines above, which are as long as the tensors say. All
        // of them are kept as long as the graphs.
        unsafe {
            let weights: Vec<_> =
                (0..copies).map(|_| sys::ggml_new_tensor_2d(of_weights.0, operands.ty, k as i64, n as i64)).collect();
            let buffer = sys::ggml_backend_alloc_ctx_tensors_from_buft(of_weights.0, kind);
            if buffer.is_null() {
                return Err(Refusal::Error(format!("ggml has no memory for {copies} copies of the weights")));
            }
            let buffer = Buffer(buffer);
            let activations = sys::ggml_new_tensor_2d(of_graphs.0, x_type, k as i64, m as i64);
            (*activations).data = x.as_mut_ptr().cast();
            let mut plans = Vec::with_capacity(copies);
            let mut path = "";
            for w in weights {
                let product = sys::ggml_mul_mat(of_graphs.0, w, activations);
                (*product).data = y.as_mut_ptr().cast();
                let device = sys::ggml_backend_reg_dev_get(sys::ggml_backend_cpu_reg(), 0);
                if !sys::ggml_backend_dev_supports_op(device, product) {
                    let name = CStr::from_ptr(sys::ggml_type_name(operands.ty)).to_string_lossy();
                    return Err(Refusal::Unsupported(format!("no {buffers} kernel has {name}")));
                }
                sys::ggml_backend_tensor_set(w, operands.weights.as_ptr().cast(), 0, operands.weights.len());
                let is_tiled = m >= TILED_ROWS && ggml_tiled_wdata_size(pool.threads, product) > 0;
                path = match buffers {
                    "CPU" if is_tiled => "tiled",
                    "CPU" => "vec_dot or llamafile",
                    _ => "rearranged",
                };
                let graph = sys::ggml_new_graph_custom(of_graphs.0, GRAPH_SIZE, false);
                sys::ggml_build_forward_expand(graph, product);
                plans.push(Plan { graph, plan: sys::ggml_graph_plan(graph, pool.threads, pool.pool) });
            }
            let mut work = lines(plans.iter().map(|plan| plan.plan.work_size).max().unwrap_or(0));
            plans.iter_mut().for_each(|plan| plan.plan.work_data = work.as_mut_ptr().cast());
            let plans = Rotation::of(plans).ok_or_else(|| Refusal::Error("no copy of the weights".to_owned()))?;
            Ok(Self {
                _weights: of_weights,
                _graphs: of_graphs,
                _buffer: buffer,
                _x: x,
                y,
                _work: work,
                len: m * n,
                plans,
                path,
                _pool: pool,
            })
        }
    }

    /// One product, with the next copy of the weights.
    ///
    /// # Panics
    /// If ggml reports a failure.
    pub(crate) fn multiply(&mut self) {
        let Plan { graph, plan } = self.plans.take();
        // SAFETY: graph, plan, pool and the memory that they point at live as long as `self`.
        let status = unsafe { sys::ggml_graph_compute(*graph, plan) };
        assert_eq!(status, sys::GGML_STATUS_SUCCESS, "ggml computes no product");
    }

    /// y of the last product.
    pub(crate) fn result(&self) -> &[f32] {
        // SAFETY: the lines hold `len` numbers, and every bit pattern is one.
        unsafe { std::slice::from_raw_parts(self.y.as_ptr().cast(), self.len) }
    }

    /// Which of its code paths ggml takes, as far as it tells.
    pub(crate) fn path(&self) -> &'static str {
        self.path
    }
}

/// The type of buffers that ggml calls `name`: its own for tensors as they are stored, or one that rearranges weights,
/// which the CPU backend gives out as llama.cpp asks for them. `None` if this processor or build has none.
pub(crate) fn buffer_type(name: &str) -> Option<sys::ggml_backend_buffer_type_t> {
    // SAFETY: the address is that of a function of the named type, as ggml documents it; its list ends with a null.
    unsafe {
        let backend = sys::ggml_backend_cpu_reg();
        if name == "CPU" {
            return Some(sys::ggml_backend_cpu_buffer_type());
        }
        let address = sys::ggml_backend_reg_get_proc_address(backend, c"ggml_backend_dev_get_extra_bufts".as_ptr());
        let list: sys::ggml_backend_dev_get_extra_bufts_t = std::mem::transmute::<*mut c_void, _>(address);
        let mut at = list?(sys::ggml_backend_reg_dev_get(backend, 0));
        while !(*at).is_null() {
            if CStr::from_ptr(sys::ggml_backend_buft_name(*at)).to_bytes() == name.as_bytes() {
                return Some(*at);
            }
            at = at.add(1);
        }
        None
    }
}

/// Memory of tensors' descriptions, without their data.
struct Context(*mut sys::ggml_context);

impl Context {
    fn new(bytes: usize) -> Result<Self, Refusal> {
        let params = sys::ggml_init_params { mem_size: bytes, mem_buffer: ptr::null_mut(), no_alloc: true };
        // SAFETY: ggml allocates the memory itself.
        let context = unsafe { sys::ggml_init(params) };
        if context.is_null() { Err(Refusal::Error("ggml has no memory".to_owned())) } else { Ok(Self(context)) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it came from `ggml_init`.
        unsafe { sys::ggml_free(self.0) };
    }
}

/// Memory of weights.
struct Buffer(sys::ggml_backend_buffer_t);

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: it came from ggml's allocation of a context's tensors.
        unsafe { sys::ggml_backend_buffer_free(self.0) };
    }
}

/// A cache line: ggml's vectors need no more alignment.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line {
    _bytes: [u8; 64],
}

fn lines(bytes: usize) -> Vec<Line> {
    vec![Line { _bytes: [0; 64] }; bytes.div_ceil(64)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::type_id;

    const TYPES: [&str; 7] = ["Q4_K", "Q5_K", "Q6_K", "Q8_0", "Q4_0", "F16", "BF16"];
    const N: usize = 64;
    const K: usize = 512;

    /// Numbers between -1 and 1 of no pattern.
    fn numbers(seed: u64, len: usize) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    fn quantized(ty: sys::ggml_type, numbers: &[f32]) -> Vec<u8> {
        let rows = numbers.len() / K;
        // SAFETY: the sizes are those of the type; none of these types needs an importance matrix.
        unsafe {
            let mut bytes = vec![0_u8; rows * sys::ggml_row_size(ty, K as i64)];
            let written = sys::ggml_quantize_chunk(
                ty,
                numbers.as_ptr(),
                bytes.as_mut_ptr().cast(),
                0,
                rows as i64,
                K as i64,
                ptr::null(),
            );
            assert_eq!(written, bytes.len());
            bytes
        }
    }

    /// The product in f64, of the weights as the blocks say them.
    fn expected(ty: sys::ggml_type, weights: &[u8], x: &[f32]) -> Vec<f64> {
        let mut w = vec![0.0_f32; N * K];
        // Blocks hold 16-bit fields; a vector of lines aligns them.
        let mut blocks = lines(weights.len());
        // SAFETY: `blocks` has room for the bytes.
        unsafe { ptr::copy_nonoverlapping(weights.as_ptr(), blocks.as_mut_ptr().cast(), weights.len()) };
        // SAFETY: as many blocks as make N x K numbers, aligned, and room for them.
        unsafe {
            let to_float = (*sys::ggml_get_type_traits(ty)).to_float.unwrap();
            to_float(blocks.as_ptr().cast(), w.as_mut_ptr(), (N * K) as i64);
        }
        let dot = |x: &[f32], w: &[f32]| x.iter().zip(w).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
        x.chunks(K).flat_map(|x| w.chunks(K).map(move |w| dot(x, w)).collect::<Vec<f64>>()).collect()
    }

    /// Norm of the difference relative to that of `expected`.
    fn error(y: &[f32], expected: &[f64]) -> f64 {
        let difference: f64 = y.iter().zip(expected).map(|(&y, e)| (f64::from(y) - e).powi(2)).sum();
        let norm: f64 = expected.iter().map(|e| e * e).sum();
        (difference / norm).sqrt()
    }

    #[test]
    fn every_path_multiplies_as_f64_does() {
        let pool = ThreadPool::new(2).unwrap();
        for buffers in ["CPU", "CPU_REPACK", "AMX"].into_iter().filter(|name| buffer_type(name).is_some()) {
            for (name, m) in TYPES.into_iter().flat_map(|name| [1, 3, 8, 17].map(|m| (name, m))) {
                let ty = type_id(name).unwrap();
                let (x, weights) = (numbers(m as u64, m * K), quantized(ty, &numbers(99, N * K)));
                let bytes: Vec<u8> = x.iter().flat_map(|x| x.to_le_bytes()).collect();
                let operands = Operands { ty, extents: (m, N, K), x: &bytes, weights: &weights };
                let mut products = match Products::new(operands, buffers, 2, &pool) {
                    Ok(products) => products,
                    Err(Refusal::Unsupported(_)) if buffers != "CPU" => continue,
                    Err(other) => panic!("{name} in {buffers}: {other:?}"),
                };
                let right = expected(ty, &weights, &x);
                let mut other_weights = weights.clone();
                other_weights.rotate_left(weights.len() / N);
                let wrong = expected(ty, &other_weights, &x);
                for _ in 0..2 {
                    products.multiply();
                    let found = error(products.result(), &right);
                    println!("{name} {buffers} m{m} {}: {found:.2e}", products.path());
                    assert!(found <= 1e-2, "{name} in {buffers}, {m} rows: {found}");
                    assert!(error(products.result(), &wrong) > 0.5, "rows of weights are not told apart");
                }
            }
        }
    }

    #[test]
    fn operands_of_another_size_are_refused() {
        let pool = ThreadPool::new(1).unwrap();
        let ty = type_id("Q4_K").unwrap();
        let (x, weights) = (vec![0; 4 * K], quantized(ty, &numbers(1, N * K)));
        let good = Operands { ty, extents: (1, N, K), x: &x, weights: &weights };
        assert!(Products::new(good, "CPU", 1, &pool).is_ok());
        for bad in [
            Operands { extents: (1, N, K - 1), ..good },
            Operands { extents: (1, N + 1, K), ..good },
            Operands { extents: (2, N, K), ..good },
            Operands { extents: (0, N, K), x: &[], ..good },
            Operands { x: &x[..2 * K], ..good },
        ] {
            assert!(Products::new(bad, "CPU", 1, &pool).is_err());
        }
        assert!(Products::new(good, "CPU", 0, &pool).is_err(), "no copy");
        assert!(Products::new(good, "GPU", 1, &pool).is_err());
    }
}

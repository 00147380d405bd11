//! How f32 products scale with threads, beside the multiply-add loop and, where there is a Python with torch, MKL.
//!
//! `cargo run --release -p gemm --example scaling [THREADS..]`
//!
//! One process, about a minute: copy `target/release/examples/scaling` to a larger machine and run it there. Without
//! arguments it goes through 1, 2, 4, .. threads, up to as many as the process may use. Every round times each shape
//! once with our product and once with torch's, in turns, for 20 ms or one product, whichever is longer. The table has
//! medians over rounds. B is stored by columns, as the weights of a layer are. "of FMA" is the share of the
//! multiply-add loop with as many threads; "efficiency" is the rate over that of one thread, divided by the same ratio
//! of the loop. A product is checked against sums in f64, at some elements, before it is timed.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

use std::{
    error::Error,
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use gemm::{MatMut, MatRef, Shape, Threads, explain, gemm, split};
use machine::{Fingerprint, ceiling::FmaLoop};
use rayon::{ThreadPool, ThreadPoolBuilder};

const SHAPES: [(usize, usize, usize); 8] = [
    (256, 256, 256),
    (512, 512, 512),
    (1000, 1000, 1000),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
    (4096, 4096, 4096),
    (1374, 3072, 1024),
    (16, 4096, 4096),
];
const ROUNDS: usize = 5;
const BURST: Duration = Duration::from_millis(20);

fn main() -> Result<(), Box<dyn Error>> {
    let mut counts = std::env::args().skip(1).map(|count| count.parse()).collect::<Result<Vec<usize>, _>>()?;
    if counts.is_empty() {
        let most = Threads::available().get();
        counts = (0..).map(|power| 1 << power).take_while(|&count| count < most).chain([most]).collect();
    }
    let isa = explain(Shape { m: 1024, n: 1024, k: 1024 }, Threads::SERIAL).isa;
    println!("machine class {}, {isa}\n", Fingerprint::collect().class());
    let mut torch = Torch::start();
    println!("| m x n x k | threads | GFLOP/s | of FMA | efficiency | MKL | ours / MKL | grid | largest share |");
    println!("|---|---:|---:|---:|---:|---:|---:|---|---:|");
    for (m, n, k) in SHAPES {
        let mut product = Product::new(Shape { m, n, k });
        let mut one_thread = None;
        for &count in &counts {
            let pool = ThreadPoolBuilder::new().num_threads(count).build()?;
            let threads = Threads::new(count).unwrap_or_default();
            let mut fma = FmaLoop::new(isa, count).ok();
            product.check(&pool, threads)?;
            let (mut ours, mut theirs, mut ceilings) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                ceilings.extend(fma.as_mut().map(|fma| fma.burst(Duration::from_millis(5)).per_s()));
                ours.push(product.rate(&pool, threads)?);
                theirs.extend(torch.as_mut().and_then(|torch| torch.rate(product.shape, count)));
            }
            let (ours, theirs, ceiling) = (median(ours), median(theirs), median(ceilings));
            let share = ours.zip(ceiling).map(|(ours, ceiling)| ours / ceiling);
            one_thread = one_thread.or(share.filter(|_| count == 1));
            let efficiency = share.zip(one_thread).map(|(share, one)| share / one);
            let (grid, largest) = match split(product.shape, threads) {
                Some(split) => (split.grid(), Some(split.figures().largest_share)),
                None => (explain(product.shape, threads).grid, None),
            };
            println!(
                "| {m} x {n} x {k} | {count} | {} | {} | {} | {} | {} | {} x {} | {} |",
                cell(ours.map(|rate| rate / 1e9), 0),
                cell(share, 2),
                cell(efficiency, 2),
                cell(theirs.map(|rate| rate / 1e9), 0),
                cell(ours.zip(theirs).map(|(ours, theirs)| ours / theirs), 2),
                grid[0],
                grid[1],
                cell(largest, 3),
            );
        }
    }
    Ok(())
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Operands of a shape: A and C by rows, B by columns.
struct Product {
    shape: Shape,
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
}

impl Product {
    fn new(shape @ Shape { m, n, k }: Shape) -> Self {
        let elements = |len: usize, step: usize| (0..len).map(|i| (i * step % 1021) as f32 / 512.0 - 1.0).collect();
        Self { shape, a: elements(m * k, 7), b: elements(k * n, 11), c: vec![0.0; m * n] }
    }

    fn run(&mut self, threads: Threads) -> Result<(), Box<dyn Error>> {
        let Shape { m, n, k } = self.shape;
        let (a, b) = (MatRef::from_row_major(&self.a, m, k)?, MatRef::from_row_major(&self.b, n, k)?.t());
        gemm(threads, 1.0, a, b, 0.0, MatMut::from_row_major(&mut self.c, m, n)?)?;
        Ok(())
    }

    /// Operations per second.
    fn rate(&mut self, pool: &ThreadPool, threads: Threads) -> Result<f64, Box<dyn Error>> {
        let flops = self.shape.flops().unwrap_or(0) as f64;
        let (start, mut products) = (Instant::now(), 0);
        let elapsed = pool.install(|| {
            while start.elapsed() < BURST {
                self.run(threads).map_err(|error| error.to_string())?;
                products += 1;
            }
            Ok::<_, String>(start.elapsed())
        })?;
        Ok(flops * f64::from(products) / elapsed.as_secs_f64())
    }

    /// Whether some elements are right, on the diagonal and in the corners.
    fn check(&mut self, pool: &ThreadPool, threads: Threads) -> Result<(), Box<dyn Error>> {
        self.c.fill(f32::NAN);
        pool.install(|| self.run(threads).map_err(|error| error.to_string()))?;
        let Shape { m, n, k } = self.shape;
        for step in 0..=100 {
            let (i, j) = ((m - 1) * step / 100, (n - 1) * (step * 37 % 101) / 100);
            let terms = (0..k).map(|p| f64::from(self.a[i * k + p]) * f64::from(self.b[j * k + p]));
            let (exact, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
            let error = (f64::from(self.c[i * n + j]) - exact).abs();
            if error.is_nan() || error > 1e-5 * size {
                return Err(format!("element ({i}, {j}) of {:?} is off by {error}", self.shape).into());
            }
        }
        Ok(())
    }
}

/// A Python with torch that times its products on request.
struct Torch {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

const SCRIPT: &str = "
import sys, time, torch
matrices = {}
print(torch.__version__, torch.backends.mkl.is_available(), flush=True)
for line in sys.stdin:
    m, n, k, threads = map(int, line.split())
    torch.set_num_threads(threads)
    if (m, n, k) not in matrices:
        matrices = {(m, n, k): (torch.randn(m, k), torch.randn(n, k).t(), torch.empty(m, n))}
    a, b, c = matrices[m, n, k]
    torch.mm(a, b, out=c)
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < 0.02:
        torch.mm(a, b, out=c)
        count += 1
    print((time.perf_counter() - start) / count, flush=True)
";

impl Torch {
    fn start() -> Option<Self> {
        // Its threads must not spin while ours are timed.
        let mut child = Command::new("python3")
            .args(["-c", SCRIPT])
            .env("KMP_BLOCKTIME", "0")
            .env("OMP_WAIT_POLICY", "PASSIVE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut answers = BufReader::new(child.stdout.take()?);
        let mut version = String::new();
        answers.read_line(&mut version).ok()?;
        let [version, mkl] = version.split_whitespace().collect::<Vec<_>>()[..] else {
            eprintln!("no python3 with torch here: no rates of MKL");
            return None;
        };
        println!("torch {version}, with MKL: {mkl}\n");
        Some(Self { child, answers })
    }

    fn rate(&mut self, shape @ Shape { m, n, k }: Shape, threads: usize) -> Option<f64> {
        writeln!(self.child.stdin.as_mut()?, "{m} {n} {k} {threads}").ok()?;
        let mut seconds = String::new();
        self.answers.read_line(&mut seconds).ok()?;
        Some(shape.flops()? as f64 / seconds.trim().parse::<f64>().ok()?)
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        // The script ends with its input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

//! Finds where one path becomes faster than another, and whether the kernels choose right.
//!
//! `cargo run --release -p gemm --example crossover [ROUNDS]`
//!
//! Every path of every kernel is timed on shapes on both sides of each threshold of `src/plan/route.rs`, in rounds, the
//! paths of a shape in alternation within a round. A ratio is the median over rounds of time ÷ time of the chosen path
//! in the same round; the interval is that of the median at 95 %, by order statistics. `!` marks a shape whose chosen
//! path is slower than another by more than 3 %, with the whole interval. Then rows are added one by one: time drops
//! where the ratio to the time without the row, taken within each round, is below 0.97 with its whole interval. Exit
//! code 1 if there is either.
#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use gemm::{Case, Kernel, MatMut, MatRef, Operands, Shape, kernels, paths};
use machine::Fingerprint;
use op::Loaded;
use proof::input::normal;

/// A burst of one path in one round lasts at least this long.
const BURST: Duration = Duration::from_micros(400);

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(21);
    println!("machine class: {}", Fingerprint::collect().class());
    println!("{rounds} rounds; ratios to the chosen path, with 95 % intervals of their medians");
    let (mut losses, mut drops) = (0, 0);
    for kernel in kernels().iter().filter(|kernel| kernel.name().starts_with("cpu-avx")) {
        println!("\n{}", kernel.name());
        for (shape, b_by_columns) in shapes() {
            losses += usize::from(!compare(kernel.as_ref(), shape, b_by_columns, rounds));
        }
        drops += rows_one_by_one(kernel.as_ref(), rounds);
    }
    println!(
        "\n{losses} shapes whose chosen path is slower than another by more than 3 %, {drops} drops of time by a row more"
    );
    ExitCode::from(u8::from(losses + drops > 0))
}

/// Shapes around the thresholds, and whether B is stored column by column.
fn shapes() -> Vec<(Shape, bool)> {
    let cubes = [8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160].map(|x| (x, x, x));
    let few_operations = [(8, 512, 64), (48, 128, 256), (200, 200, 16), (300, 40, 100), (24, 1000, 32)];
    let few_rows = [1, 2, 3, 4, 6, 8, 12, 16].map(|m| (m, 1536, 384));
    let short = [16, 32, 64, 96, 128, 192].map(|k| (8, 512, k));
    let panels = [24, 36, 48, 60, 72, 96, 144].map(|m| (m, 2048, 512));
    let long_panels = [12, 18, 24, 48, 96, 144].map(|m| (m, 4096, 1024));
    let small_b = [(400, 256, 256), (400, 384, 256), (400, 512, 512), (200, 64, 1024), (2048, 48, 512)];
    let squares =
        [(256, 256, 256), (512, 512, 512), (1000, 256, 1000), (1000, 1000, 256), (1024, 128, 2048), (640, 640, 640)];
    let all = cubes
        .into_iter()
        .chain(few_operations)
        .chain(few_rows)
        .chain(short)
        .chain(panels)
        .chain(long_panels)
        .chain(small_b)
        .chain(squares);
    all.flat_map(|(m, n, k)| [false, true].map(|by_columns| (Shape { m, n, k }, by_columns))).collect()
}

/// Operands of a shape.
struct Memory {
    shape: Shape,
    b_by_columns: bool,
    a: Vec<f32>,
    b: Vec<f32>,
}

impl Memory {
    fn new(shape @ Shape { m, n, k }: Shape, b_by_columns: bool) -> Self {
        Self { shape, b_by_columns, a: normal(1, m * k), b: normal(2, k * n) }
    }

    fn load<'a>(&'a self, kernel: &'a dyn Kernel, c: &'a mut [f32]) -> Box<dyn Loaded + 'a> {
        self.rows(self.shape.m, kernel, c)
    }

    /// The product for the first `m` rows.
    fn rows<'a>(&'a self, m: usize, kernel: &'a dyn Kernel, c: &'a mut [f32]) -> Box<dyn Loaded + 'a> {
        let Shape { n, k, .. } = self.shape;
        let case = Case::from(Shape { m, n, k });
        let b = match self.b_by_columns {
            true => MatRef::from_col_major(&self.b, k, n),
            false => MatRef::from_row_major(&self.b, k, n),
        };
        let (a, c) = (MatRef::from_row_major(&self.a, m, k), MatMut::from_row_major(c, m, n));
        let operands = Operands::new(a.expect("m x k"), b.expect("k x n"), c.expect("m x n"));
        kernel.load(&case, operands).expect("operands of the case's shape")
    }
}

/// Seconds of one run.
fn time(loaded: &mut dyn Loaded) -> f64 {
    let (mut runs, start) = (0, Instant::now());
    while start.elapsed() < BURST {
        loaded.run();
        black_box(&mut *loaded);
        runs += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(runs)
}

/// Times all paths of a kernel; whether the chosen one is right.
fn compare(kernel: &dyn Kernel, shape: Shape, b_by_columns: bool, rounds: usize) -> bool {
    let memory = Memory::new(shape, b_by_columns);
    let (mut c, mut others) = (vec![0.0; shape.m * shape.n], Vec::new());
    let path_of = |kernel: &dyn Kernel, c: &mut [f32]| {
        let mut loaded = memory.load(kernel, c);
        loaded.run();
        loaded.ran().path
    };
    let chosen = path_of(kernel, &mut c);
    let rivals = paths();
    for (path, rival) in rivals.iter().filter(|(_, rival)| rival.name() == kernel.name()) {
        let taken = path_of(rival.as_ref(), &mut c);
        if taken != chosen && taken.starts_with(path.name()) {
            others.push((taken, rival.as_ref(), Vec::new()));
        }
    }
    let mut seconds = Vec::new();
    for round in 0..rounds {
        let mut own = 0.0;
        let count = others.len() + 1;
        let mut took = vec![0.0; count];
        for position in 0..count {
            let index = (position + round) % count;
            let kernel = if index == 0 { kernel } else { others[index - 1].1 };
            took[index] = time(memory.load(kernel, &mut c).as_mut());
            own = took[0];
        }
        seconds.push(own);
        others.iter_mut().zip(&took[1..]).for_each(|(other, took)| other.2.push(took / took_of(&seconds)));
    }
    let Shape { m, n, k } = shape;
    let layout = if b_by_columns { "bt" } else { "  " };
    let mut line = format!("{m:>5} x {n:>5} x {k:>5} {layout} {:>10.2} us  {chosen:<17}", median(&mut seconds) * 1e6);
    let mut is_right = true;
    for (path, _, ratios) in &mut others {
        let middle = median(ratios);
        let (low, high) = interval(ratios);
        is_right &= 1.0 / high <= 1.03;
        line += &format!("  {path} {middle:.2} ({low:.2}..{high:.2})");
    }
    println!("{line}{}", if is_right { "" } else { "  !" });
    is_right
}

fn took_of(seconds: &[f64]) -> f64 {
    seconds.last().copied().unwrap_or(f64::NAN)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Order statistics that contain the median with 95 %; the values are sorted.
fn interval(sorted: &[f64]) -> (f64, f64) {
    let n = sorted.len() as f64;
    let below = ((n - 1.96 * n.sqrt()) / 2.0).floor().max(0.0) as usize;
    (sorted[below], sorted[sorted.len() - 1 - below])
}

/// The time with one row more, over the time without it, where it drops by more than 3 %; the number of such places.
fn rows_one_by_one(kernel: &dyn Kernel, rounds: usize) -> usize {
    let mut found = 0;
    for (n, k, b_by_columns) in [(1024, 1024, false), (1024, 1024, true), (384, 96, false)] {
        // One memory for all: a copy of B for each would be cold in its cache at the beginning of each burst.
        let memory = Memory::new(Shape { m: 40, n, k }, b_by_columns);
        let mut c = vec![0.0; 40 * n];
        let mut ratios = vec![Vec::new(); 39];
        for _ in 0..rounds {
            let took: Vec<f64> = (1..=40).map(|m| time(memory.rows(m, kernel, &mut c).as_mut())).collect();
            for (pair, ratios) in took.windows(2).zip(&mut ratios) {
                ratios.push(pair[1] / pair[0]);
            }
        }
        let mut drops = Vec::new();
        for (m, ratios) in (1..).zip(&mut ratios) {
            let (middle, (low, high)) = (median(ratios), interval(ratios));
            if high < 0.97 {
                drops.push(format!("{m} -> {}: {middle:.2} ({low:.2}..{high:.2})", m + 1));
            }
        }
        found += drops.len();
        let layout = if b_by_columns { " bt" } else { "" };
        println!("1 to 40 rows x {n} x {k}{layout}: time drops by more than 3 % at [{}]", drops.join(", "));
    }
    found
}

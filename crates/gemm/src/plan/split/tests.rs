//! The split's promises, for 1 to 128 threads over a table of shapes, register tiles and caches.

use super::*;

/// Caches of processors on sale: level 1, 2 and 3.
const CACHES: [Caches; 3] = [
    Caches { l1d_bytes: 32 << 10, l2_bytes: 512 << 10, l3_bytes: 32 << 20, l3_instances: 1, line_bytes: 64 },
    Caches { l1d_bytes: 48 << 10, l2_bytes: 1 << 20, l3_bytes: 32 << 20, l3_instances: 4, line_bytes: 64 },
    Caches { l1d_bytes: 48 << 10, l2_bytes: 2 << 20, l3_bytes: 105 << 20, l3_instances: 1, line_bytes: 64 },
];

/// m, n, k: squares, a layer of a model, tall, wide, few rows, long sums, prime extents.
const SHAPES: [(usize, usize, usize); 17] = [
    (256, 256, 256),
    (512, 512, 512),
    (1000, 1000, 1000),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
    (4096, 4096, 4096),
    (1374, 3072, 1024),
    (30_000, 64, 64),
    (20_000, 256, 512),
    (64, 30_000, 64),
    (256, 20_000, 300),
    (16, 4096, 4096),
    (8, 1536, 384),
    (64, 4096, 4096),
    (64, 64, 500_000),
    (997, 1009, 1013),
    (4099, 2053, 509),
];

fn request((m, n, k): (usize, usize, usize), threads: usize) -> Request {
    let shape = Shape { m, n, k };
    let (kc, threads) = (equal_parts(k, 256, 1), Threads::new(threads).unwrap());
    let (packs_b, keeps_sums) = (true, false);
    Request { shape, mr: 12, nr: 32, kc, packs_b, keeps_sums, caches: CACHES[2], threads }
}

/// All of the table, each row with 1 to 128 threads for one kind of product and one machine, and with every sixteenth
/// number of them for the others.
fn requests() -> impl Iterator<Item = Request> {
    let mut all = Vec::new();
    for (shape, (mr, nr)) in SHAPES.into_iter().flat_map(|shape| [(12, 32), (6, 16)].map(|tile| (shape, tile))) {
        for (packs_b, keeps_sums) in [(true, false), (false, false), (true, true)] {
            for caches in CACHES {
                let is_whole = packs_b && !keeps_sums && caches == CACHES[2];
                let numbers = if is_whole { (1..=128).step_by(1) } else { (1 + all.len() % 16..=128).step_by(16) };
                let with = |threads| Request { mr, nr, packs_b, keeps_sums, caches, ..request(shape, threads) };
                all.extend(numbers.map(with));
            }
        }
    }
    all.into_iter()
}

/// No thread has more than 5 % above the mean, where each has 64 tiles or more in a stage. Fewer cannot always be cut
/// so evenly, nor are units of one tile worth fetching panels again and again: then a thread may have two tiles more.
#[test]
fn shares_are_even_and_nothing_is_packed_twice() {
    for request in requests() {
        let split = Split::new(request);
        let Figures { packed_bytes, packed_again_bytes, largest_share, tiles, cut_tiles, barriers } = split.figures();
        assert!((1..=request.threads.get()).contains(&split.threads()), "{request:?}: {split:?}");
        assert!(packed_again_bytes * 20 <= packed_bytes, "{request:?}: {packed_again_bytes} of {packed_bytes} bytes");
        let of_thread = tiles as f64 / (split.threads() * split.places()) as f64;
        let bound = if of_thread >= 64.0 { 1.05 } else { 1.05 + 2.0 / of_thread };
        assert!((1.0..=bound).contains(&largest_share), "{request:?}: {largest_share}, {split:?}");
        // A thread does what 64 tiles of 256 steps take between two barriers, or more.
        assert!(
            barriers == 0 || of_thread * split.depth as f64 >= 256.0,
            "{request:?}: {barriers} barriers, {split:?}"
        );
        let (rows, cols) = (request.shape.m.div_ceil(request.mr), request.shape.n.div_ceil(request.nr));
        assert_eq!(tiles, (rows * cols) as u64, "the split cuts no tile");
        assert!(cut_tiles as usize <= rows + cols, "{request:?}: {cut_tiles}");
    }
}

/// A unit of each thread at least, and no thread without need: the same time with one less would be a waste.
#[test]
fn as_many_threads_as_pay() {
    let threads = |shape, threads| Split::new(request(shape, threads)).threads();
    assert_eq!([1, 2, 4, 8, 16].map(|max| threads((512, 512, 512), max)), [1, 2, 4, 8, 16]);
    assert_eq!([1, 2, 16, 128].map(|max| threads((4096, 4096, 4096), max)), [1, 2, 16, 128]);
    assert_eq!(threads((64, 64, 64), 16), 1);
    assert!((12..=16).contains(&threads((256, 256, 256), 128)), "2 MFLOP each");
    assert_eq!(threads((12, 32, 1 << 20), 8), 1, "one tile");
}

/// Each tile is in one unit of one home, for each step of k, in the order of k.
#[test]
fn units_cover_the_product_once() {
    for (shape @ (m, n, k), threads) in [
        ((300, 700, 5000), 1),
        ((997, 1009, 1013), 7),
        ((2048, 2048, 2048), 16),
        ((5000, 90, 3000), 61),
        ((64, 9000, 700), 128),
    ] {
        for keeps_sums in [false, true] {
            let small = Caches { l3_bytes: 1 << 20, ..CACHES[0] };
            let split = Split::new(Request { caches: small, keeps_sums, ..request(shape, threads) });
            let (rows, cols) = (split.rows().panels, split.cols().panels);
            let mut steps = vec![0; rows * cols];
            let (mut a, mut b) = (0, 0);
            for stage in (0..split.stages()).map(|stage| split.stage(stage)) {
                assert!(stage.a_generation >= a && stage.b_generation >= b);
                (a, b) = (stage.a_generation, stage.b_generation);
                let mut seen = vec![false; split.units()];
                for (home, nth) in
                    (0..split.threads()).flat_map(|home| (0..split.home_units(home)).map(move |nth| (home, nth)))
                {
                    let unit = split.unit(&stage, home, nth);
                    assert!(!std::mem::replace(&mut seen[unit.index], true));
                    assert!(
                        unit.rows.len() <= split.rows().unit_panels() && unit.cols.len() <= split.cols().unit_panels()
                    );
                    assert!(unit.cols.contains(&unit.first_to_pack) || unit.cols.is_empty());
                    for (row, col) in unit.rows.flat_map(|row| unit.cols.clone().map(move |col| (row, col))) {
                        let before = std::mem::replace(&mut steps[row * cols + col], stage.steps.end);
                        assert_eq!(before, stage.steps.start, "{shape:?}: {stage:?}");
                    }
                }
                assert!(seen.into_iter().all(|seen| seen));
            }
            assert!(steps.iter().all(|&end| end == k), "{shape:?}");
            assert_eq!([split.rows().elements(0..rows), split.cols().elements(0..cols)], [0..m, 0..n]);
        }
    }
}

/// An `explain` of any shape that can be counted ends, and soon.
#[test]
fn absurd_shapes_have_a_split() {
    let huge = 1 << 60;
    for shape in [(huge, 1, 1), (1, huge, 1), (1, 1, huge), (1 << 30, 1 << 30, 1), (1 << 20, 1 << 20, 1 << 20)] {
        for keeps_sums in [false, true] {
            let split = Split::new(Request { keeps_sums, ..request(shape, 128) });
            assert!(split.threads() >= 1 && split.time() > 0.0);
        }
    }
}

/// Whether the constants of the estimate follow from the register tiles, as the prose says.
#[test]
fn fetches_are_those_of_the_tiles() {
    for (mr, nr) in [(12.0, 32.0), (6.0, 16.0)] {
        assert!((A_FETCH - 4.0 * mr / 16.0 / mr).abs() < 0.01 && (B_FETCH - 4.0 * nr / 16.0 / mr).abs() < 0.01_f64);
    }
}

// What every dense product is told: extents, elements from row to row, and elements or vectors from one product of a
// batch to the next.

struct Shape {
    m: u32,
    n: u32,
    k: u32,
    lda: u32,
    ldb: u32,
    ldc: u32,
    // In the units of the bindings.
    batch_a: u32,
    batch_b: u32,
    batch_c: u32,
    batch_residual: u32,
    alpha: f32,
    unused: u32,
}

// The tile of a workgroup: bands of BAND rows of tiles, column by column within a band, so that the workgroups that run
// at a time share rows of A and columns of B in the caches.
fn tile_of(number: u32, tiles_m: u32, tiles_n: u32) -> vec2<u32> {
    let per_band = BAND * tiles_n;
    let first = number / per_band * BAND;
    let height = min(tiles_m - first, BAND);
    let within = number % per_band;
    return vec2<u32>(first + within % height, within / height);
}

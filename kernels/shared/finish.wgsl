// What becomes of the sum of a product, at its place in y.
//
// Constants: FINISH 0 is y, 1 is added to y, 2 its squared ReLU is y.

fn finish(at: u32, sum: f32) {
    if (FINISH == 0u) { output[at] = sum; }
    if (FINISH == 1u) { output[at] += sum; }
    if (FINISH == 2u) { output[at] = max(sum, 0.0) * max(sum, 0.0); }
}

// The same as attention_blocks.wgsl without cooperative matrices, for the tests: an adapter that has none runs all that is
// around them. A block is spread over 32 consecutive invocations, eight elements of a row each. Products exchange operands
// through workgroup memory, so every function is called by all invocations of the workgroup.

alias Left = array<f32, 8>;
alias Right = array<f32, 8>;
alias Sums = array<f32, 8>;

var<private> invocation: u32;
var<workgroup> left_operands: array<f32, THREADS * 8u>;
var<workgroup> right_operands: array<f32, THREADS * 8u>;

fn begin_emulation(t: u32) { invocation = t; }

// The row and the first column of what an invocation holds.
fn held_row() -> u32 { return invocation % 32u / 2u; }
fn held_column() -> u32 { return invocation % 2u * 8u; }

fn key_block(block: u32, d: u32) -> Right {
    var held: Right;
    for (var i = 0u; i < 8u; i++) {
        // Rows of the block are elements of the head, columns are keys.
        let element = 16u * d + held_row();
        held[i] = f32(keys[(16u * block + held_column() + i) * KV_STRIDE + element / 4u][element % 4u]);
    }
    return held;
}

fn value_block(block: u32, d: u32) -> Right {
    var held: Right;
    for (var i = 0u; i < 8u; i++) {
        let element = 16u * d + held_column() + i;
        held[i] = f32(values[(16u * block + held_row()) * KV_STRIDE + element / 4u][element % 4u]);
    }
    return held;
}

fn row_block(rows: u32, block: u32, quad: u32) -> Left {
    var held: Left;
    for (var i = 0u; i < 8u; i++) {
        let column = held_column() + i;
        held[i] = f32(weights[(rows + 16u * block + held_row()) * P_STRIDE + quad + column / 4u][column % 4u]);
    }
    return held;
}

fn sum_block(rows: u32, block: u32, half: u32) -> Sums {
    var held: Sums;
    for (var i = 0u; i < 8u; i++) {
        let column = held_column() + i;
        held[i] = scores[(rows + 16u * block + held_row()) * S_STRIDE + 4u * half + column / 4u][column % 4u];
    }
    return held;
}

fn store_block(o: Sums, rows: u32, block: u32, half: u32) {
    var held = o;
    for (var i = 0u; i < 2u; i++) {
        let at = (rows + 16u * block + held_row()) * S_STRIDE + 4u * half + held_column() / 4u + i;
        scores[at] = vec4<f32>(held[4u * i], held[4u * i + 1u], held[4u * i + 2u], held[4u * i + 3u]);
    }
}

fn emulated_multiply_add(a: Left, b: Right, c: Sums) -> Sums {
    var left = a;
    var right = b;
    var sums = c;
    for (var i = 0u; i < 8u; i++) {
        left_operands[invocation * 8u + i] = left[i];
        right_operands[invocation * 8u + i] = right[i];
    }
    workgroupBarrier();
    let subgroup = invocation / 32u * 256u;
    for (var k = 0u; k < 16u; k++) {
        let x = left_operands[subgroup + held_row() * 16u + k];
        for (var i = 0u; i < 8u; i++) {
            sums[i] = fma(x, right_operands[subgroup + k * 16u + held_column() + i], sums[i]);
        }
    }
    workgroupBarrier();
    return sums;
}

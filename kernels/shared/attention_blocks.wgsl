// How blocks of 16 x 16 come from the workgroup memory of attention_coop.wgsl into cooperative matrices, and go back.

alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;

// 16 keys as columns, from element 16 d on.
fn key_block(block: u32, d: u32) -> Right {
    return coopLoad<Right>(&keys[16u * block * KV_STRIDE + 4u * d], KV_STRIDE);
}

// 16 keys as rows, from element 16 d on.
fn value_block(block: u32, d: u32) -> Right {
    return coopLoadT<Right>(&values[16u * block * KV_STRIDE + 4u * d], KV_STRIDE);
}

// 16 rows of a subgroup, from quad `quad` on: of weights or of Q.
fn row_block(rows: u32, block: u32, quad: u32) -> Left {
    return coopLoadT<Left>(&weights[(rows + 16u * block) * P_STRIDE + quad], P_STRIDE);
}

fn sum_block(rows: u32, block: u32, half: u32) -> Sums {
    return coopLoadT<Sums>(&scores[(rows + 16u * block) * S_STRIDE + 4u * half], S_STRIDE);
}

fn store_block(o: Sums, rows: u32, block: u32, half: u32) {
    coopStoreT(o, &scores[(rows + 16u * block) * S_STRIDE + 4u * half], S_STRIDE);
}

// Reading at best: each workgroup walks over tiles of 16 KiB, a stride of all workgroups apart, with four loads of 16
// bytes in flight for each invocation, and keeps one sum. `tiles.x` is the number of tiles.

@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> sums: array<u32>;
@group(0) @binding(2) var<uniform> tiles: vec4<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    var sum = vec4<u32>(0u);
    for (var tile = group.x; tile < tiles.x; tile += groups.x) {
        let at = tile * 1024u + local;
        let a = source[at];
        let b = source[at + 256u];
        let c = source[at + 512u];
        let d = source[at + 768u];
        sum += (a ^ b) + (c ^ d);
    }
    sums[group.x * 256u + local] = sum.x + sum.y + sum.z + sum.w;
}

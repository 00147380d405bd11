// Copying at best: as `read.wgsl`, but each tile is written to the same place of another buffer.

@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> copy: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> tiles: vec4<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(local_invocation_index) local: u32,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    for (var tile = group.x; tile < tiles.x; tile += groups.x) {
        let at = tile * 1024u + local;
        let a = source[at];
        let b = source[at + 256u];
        let c = source[at + 512u];
        let d = source[at + 768u];
        copy[at] = a;
        copy[at + 256u] = b;
        copy[at + 512u] = c;
        copy[at + 768u] = d;
    }
}

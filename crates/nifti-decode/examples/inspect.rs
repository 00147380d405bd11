//! Reads a volume, brings it to RAS, and prints its shape, statistics and the mean of each axial slice.
//!
//! ```text
//! cargo run --release -p nifti-decode --example inspect -- brain.nii.gz
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::error::Error;

use nifti_decode::{Decoder, Orientation, Plan, VolumeFile};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: inspect FILE")?;
    let file = VolumeFile::open(&path)?;
    for warning in file.warnings() {
        println!("warning: {warning}");
    }
    println!("stored: {:?} {}", file.shape(), file.datatype().name());

    let mut decoder = Decoder::new();
    let plan = Plan::scaled().oriented(Orientation::RAS).with_stats();
    let volume = file.decode::<f32>(&mut decoder, &plan)?;
    println!("RAS:    {:?}, spacing {:?}", volume.shape(), volume.affine().spacing());
    if let Some(stats) = volume.stats() {
        println!("values: {} to {}, mean {}, median {}", stats.min, stats.max, stats.mean, stats.median);
    }
    let losses = volume.decoded().losses;
    if !losses.is_empty() {
        println!("float32 does not hold every value: {losses}");
    }

    // The first volume, slice by slice from bottom to top.
    let mut view = volume.view();
    while view.shape().len() > 3 {
        view = view.index_axis(view.shape().len() - 1, 0).ok_or("a volume without voxels")?;
    }
    for z in 0..view.shape().get(2).copied().unwrap_or(0) {
        let Some(slice) = view.index_axis(2, z) else { break };
        let sum: f64 = slice.iter().map(|&value| f64::from(value)).sum();
        println!("slice {z:>4}: mean {:.3}", sum / slice.len() as f64);
    }
    Ok(())
}

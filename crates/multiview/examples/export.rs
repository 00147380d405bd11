//! Writes a model, its input and all of its results for a check by another implementation:
//!
//! ```text
//! cargo run --release -p multiview --example export -- DIR [toy|wide] [SEED] [FRAMES] [PIXELS]
//! ```
//!
//! `peers/python/multiview_oracle.py DIR` computes the same in float64 with PyTorch and compares.

use std::{error::Error, fs, path::Path};

use multiview::{Aggregator, Config, Keep, Projected, Seeded, Shape, Threads, image, to_safetensors};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |at: usize, default: &str| arguments.get(at).cloned().unwrap_or_else(|| default.to_owned());
    let directory = arguments.first().ok_or("the first argument is a directory")?;
    let config = if argument(1, "toy") == "wide" { Config::HEADS_OF_64 } else { Config::TOY };
    let seed = argument(2, "1").parse()?;
    let shape = Shape::square(argument(3, "3").parse()?, argument(4, "112").parse()?);
    let directory = Path::new(directory);
    fs::create_dir_all(directory)?;

    let mut images = vec![0.0; shape.images() * shape.image_values()];
    for (index, values) in images.chunks_exact_mut(shape.image_values()).enumerate() {
        image(seed, index, values);
    }
    fs::write(directory.join("weights.safetensors"), to_safetensors(&config, &Seeded(seed))?)?;
    fs::write(directory.join("images"), bytes(&images))?;
    fs::write(directory.join("config.json"), describe(&config, &shape))?;

    let model = Aggregator::new(&config, &Seeded(seed))?;
    let mut workspace = model.workspace(&shape, Threads::SERIAL)?;
    let read = |index: usize, values: &mut [f32]| image(seed, index, values);
    let all = model.run(read, Keep::All, &mut workspace)?;
    for layer in 0..config.depth {
        let output = all.output(layer).ok_or("all outputs are kept")?;
        fs::write(directory.join(format!("output-{layer}")), bytes(output))?;
    }
    let projected = model.run(read, Keep::Projected, &mut workspace)?;
    for index in 0..config.captured.len() {
        let Some(Projected::F32(values)) = projected.projected(index) else { return Err("it is in f32".into()) };
        fs::write(directory.join(format!("projected-{index}")), bytes(values))?;
    }
    let camera: Vec<f32> = projected.camera_tokens().flatten().copied().collect();
    fs::write(directory.join("camera"), bytes(&camera))?;
    Ok(())
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn describe(config: &Config, shape: &Shape) -> String {
    let Config { embed_dim, depth, heads, captured, .. } = config;
    let Shape { height, width, .. } = shape;
    format!(
        "{{\"embed_dim\": {embed_dim}, \"depth\": {depth}, \"heads\": {heads}, \"captured\": {captured:?}, \
         \"height\": {height}, \"width\": {width}}}\n"
    )
}

//! What samplers say of their samples, as arrays of the whole batch.

use loader::{Changes, Crop, Views};
use pyo3::{prelude::*, types::PyDict};

use crate::array::c_order;

/// A label that can be shown to Python.
pub(crate) trait Label: Default + Clone + Send + Sync + 'static {
    /// The labels of a batch by name; the first axis of every array is the sample.
    fn arrays<'py>(labels: &[Self], py: Python<'py>) -> PyResult<Bound<'py, PyDict>>;
}

impl Label for Crop {
    fn arrays<'py>(labels: &[Self], py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        let starts: Vec<i64> = labels.iter().flat_map(|crop| crop.start).collect();
        dict.set_item("start", c_order(py, starts, &[labels.len(), 3])?)?;
        let positive: Option<Vec<bool>> = labels.iter().map(|crop| crop.is_positive).collect();
        if let Some(positive) = positive {
            dict.set_item("is_positive", c_order(py, positive, &[labels.len()])?)?;
        }
        Ok(dict)
    }
}

impl Label for (Crop, Changes) {
    fn arrays<'py>(labels: &[Self], py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (crops, changes): (Vec<Crop>, Vec<Changes>) = labels.iter().copied().unzip();
        let (dict, n) = (Crop::arrays(&crops, py)?, labels.len());
        let orders: Vec<i64> = changes.iter().flat_map(|each| each.turn.order).map(|axis| axis as i64).collect();
        dict.set_item("order", c_order(py, orders, &[n, 3])?)?;
        let flips: Vec<bool> = changes.iter().flat_map(|each| each.turn.is_flipped).collect();
        dict.set_item("is_flipped", c_order(py, flips, &[n, 3])?)?;
        let noise = changes.iter().flat_map(|each| each.noise.map_or([0.0; 2], |noise| [noise.mean, noise.std]));
        dict.set_item("noise", c_order(py, noise.collect::<Vec<f32>>(), &[n, 2])?)?;
        let gamma: Vec<f32> = changes.iter().map(|each| each.gamma.unwrap_or(1.0)).collect();
        dict.set_item("gamma", c_order(py, gamma, &[n])?)?;
        Ok(dict)
    }
}

impl Label for Views {
    fn arrays<'py>(labels: &[Self], py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (dict, n) = (PyDict::new(py), labels.len());
        let put = |name: &str, values: Vec<f64>, shape: &[usize]| dict.set_item(name, c_order(py, values, shape)?);
        let windows = labels.iter().flat_map(|views| views.windows).flat_map(|window| [window.center, window.width]);
        put("windows", windows.collect(), &[n, 2, 2])?;
        put("anchors", labels.iter().flat_map(|views| views.anchors).flatten().collect(), &[n, 2, 3])?;
        put("delta", labels.iter().flat_map(Views::delta).collect(), &[n, 3])?;
        put("degrees", labels.iter().flat_map(|views| views.degrees).collect(), &[n, 3])?;
        put("rotation", labels.iter().flat_map(|views| views.rotation).flatten().collect(), &[n, 3, 3])?;
        put("radii", labels.iter().flat_map(|views| views.radii).collect(), &[n, 2])?;
        let patches = labels.first().map_or(0, |views| views.points[0].len());
        let points: Vec<f32> = labels.iter().flat_map(|views| &views.points).flatten().flatten().copied().collect();
        dict.set_item("points", c_order(py, points, &[n, 2, patches, 3])?)?;
        Ok(dict)
    }
}

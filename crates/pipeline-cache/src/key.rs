//! Keys: everything that a cached result depends on.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use crate::{digest::Digest, wire::put_text};

/// Named values, in the order of their names. Two keys are the same if all names and values are.
///
/// A key is hashed into the name of its file and stands in the file, so that a change of any value is a clean miss.
/// Values are compared as texts; they are not secret, and a person can read them in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Key(BTreeMap<Cow<'static, str>, String>);

impl Key {
    /// A key without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more value; it takes the place of one of the same name.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        self.0.insert(name.into(), value.to_string());
        self
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// As bytes: the number of values, then each name and value behind its length.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = (self.0.len() as u32).to_le_bytes().to_vec();
        for (name, value) in &self.0 {
            put_text(&mut bytes, name);
            put_text(&mut bytes, value);
        }
        bytes
    }
}

impl fmt::Display for Key {
    /// `backend=vulkan device=8976 …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        for (name, value) in &self.0 {
            write!(f, "{space}{name}={value}")?;
            space = " ";
        }
        Ok(())
    }
}

/// What compiled pipelines and tuning choices of a device depend on. A struct, so that nothing is forgotten: an
/// identity that lacks the build of the driver mixes two builds up.
#[derive(Debug, Clone, Copy)]
pub struct DeviceKey<'a> {
    /// Name and version of the library that makes the pipelines, `wgpu 30.0.2`.
    pub interface: &'a str,
    /// How shaders are translated: checks of bounds, loops and divisions, zeroed memory.
    pub translation: &'a str,
    /// Vulkan, Metal, ….
    pub backend: &'a str,
    /// Id of the vendor.
    pub vendor: u32,
    /// Id of the device.
    pub device: u32,
    /// Discrete, integrated, CPU, ….
    pub device_type: &'a str,
    /// Name of the adapter.
    pub adapter: &'a str,
    /// Name and build of the driver.
    pub driver: &'a str,
    /// Features that the device was opened with.
    pub features: &'a str,
    /// Limits that change code: sizes of workgroups and of their memory, of subgroups and of bindings.
    pub limits: &'a str,
    /// All shader sources with their constants.
    pub sources: Digest,
}

impl From<DeviceKey<'_>> for Key {
    fn from(of: DeviceKey<'_>) -> Self {
        // Destructured, so that a new field cannot be left out here.
        let DeviceKey { interface, translation, backend, vendor, device, device_type, adapter, driver, .. } = of;
        let DeviceKey { features, limits, sources, .. } = of;
        Self::new()
            .with("interface", interface)
            .with("translation", translation)
            .with("backend", backend)
            .with("vendor", vendor)
            .with("device", device)
            .with("device_type", device_type)
            .with("adapter", adapter)
            .with("driver", driver)
            .with("features", features)
            .with("limits", limits)
            .with("sources", sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_are_equal_bytes_in_any_order() {
        let key = Key::new().with("a", 1).with("b", "x");
        assert_eq!(key.bytes(), Key::new().with("b", "x").with("a", 0).with("a", 1).bytes());
        assert_eq!((key.to_string().as_str(), key.get("b"), key.get("c")), ("a=1 b=x", Some("x"), None));
        for other in [
            key.clone().with("c", ""),
            key.clone().with("a", 2),
            Key::new().with("a", "1b").with("", "x"),
            Key::new().with("a", "1 b=x"),
        ] {
            assert_ne!(key.bytes(), other.bytes(), "{other}");
        }
    }

    #[test]
    fn every_fact_about_a_device_counts() {
        let sources = Digest::of(b"");
        let device = DeviceKey {
            interface: "wgpu 30",
            translation: "checked",
            backend: "vulkan",
            vendor: 1,
            device: 2,
            device_type: "cpu",
            adapter: "llvmpipe",
            driver: "Mesa 22.3.6",
            features: "",
            limits: "",
            sources,
        };
        let others = [
            DeviceKey { interface: "wgpu 31", ..device },
            DeviceKey { translation: "unchecked", ..device },
            DeviceKey { backend: "metal", ..device },
            DeviceKey { vendor: 2, ..device },
            DeviceKey { device: 1, ..device },
            DeviceKey { device_type: "gpu", ..device },
            DeviceKey { adapter: "other", ..device },
            DeviceKey { driver: "Mesa 22.3.7", ..device },
            DeviceKey { features: "f16", ..device },
            DeviceKey { limits: "1", ..device },
            DeviceKey { sources: Digest::of(b"a"), ..device },
        ];
        for other in others {
            assert_ne!(Key::from(device), Key::from(other), "{other:?}");
        }
    }
}

//! What programs that use a GPU find around them: the loader of Vulkan drivers, and the driver of NVIDIA.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::folder::Folder;

/// The loader of Vulkan drivers, which programs open by this name.
const LOADER: &str = "libvulkan.so.1";

/// What the driver of NVIDIA opens, which a machine without a display may lack. Taken along where they are found.
const OF_DRIVER: [&str; 13] = [
    "libEGL.so.1",
    "libGLdispatch.so.0",
    "libOpenGL.so.0",
    "libGL.so.1",
    "libGLX.so.0",
    "libGLESv2.so.2",
    "libX11.so.6",
    "libXext.so.6",
    "libxcb.so.1",
    "libXau.so.6",
    "libXdmcp.so.6",
    "libbsd.so.0",
    "libmd.so.0",
];

/// Where a pack keeps them.
const DIRECTORY: &str = "lib";

/// Where machines have their own.
const LIBRARIES: [&str; 5] =
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"];

/// Where machines keep descriptions of drivers.
const DRIVERS: [&str; 4] = [
    "/usr/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
    "/usr/local/nvidia/share/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
];

/// Variables by which a user chooses a driver.
const CHOSEN: [&str; 3] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "VK_ADD_DRIVER_FILES"];

/// Puts the loader of this machine into a pack, with the libraries of a driver that are here.
pub(crate) fn put_loader(folder: &mut Folder) -> Result<()> {
    let find =
        |name: &str| LIBRARIES.iter().map(|directory| Path::new(directory).join(name)).find(|path| path.is_file());
    for name in OF_DRIVER {
        if let Some(found) = find(name) {
            folder.put(&found, &format!("{DIRECTORY}/{name}"), true)?;
        }
    }
    let found =
        find(LOADER).with_context(|| format!("--with-loader: this machine has no {LOADER} (Debian: libvulkan1)"))?;
    folder.put(&found, &format!("{DIRECTORY}/{LOADER}"), true).map(drop)
}

/// Lets programs find the loader in the pack at `folder`, and the driver of NVIDIA where there is one and the user did
/// not choose another.
pub(crate) fn set_loader(folder: &Path, has_loader: bool, environment: &mut Vec<(OsString, OsString)>) {
    if !has_loader {
        return;
    }
    let own = folder.join(DIRECTORY);
    let set = environment.iter().position(|(key, _)| key == "LD_LIBRARY_PATH");
    let before = set.map(|at| environment.swap_remove(at).1).filter(|path| !path.is_empty());
    // What the user set comes first, then the machine's own: the pack only fills gaps.
    let machine = LIBRARIES.iter().map(PathBuf::from);
    let paths = before.iter().flat_map(|path| std::env::split_paths(path)).chain(machine).chain([own]);
    if let Ok(paths) = std::env::join_paths(paths) {
        environment.push(("LD_LIBRARY_PATH".into(), paths));
    }
    let is_chosen = environment.iter().any(|(key, value)| CHOSEN.iter().any(|name| key == name) && !value.is_empty());
    if let (false, Some(driver)) = (is_chosen, driver(&DRIVERS.map(Path::new))) {
        environment.push(("VK_DRIVER_FILES".into(), driver.into()));
    }
}

/// The description of NVIDIA's driver in the first directory that has one.
fn driver(directories: &[&Path]) -> Option<PathBuf> {
    let is_driver = |name: &OsStr| {
        let name = name.to_string_lossy();
        name.starts_with("nvidia") && name.ends_with(".json")
    };
    directories.iter().find_map(|directory| {
        let entries = fs::read_dir(directory).ok()?.flatten();
        let mut found: Vec<PathBuf> =
            entries.filter(|entry| is_driver(&entry.file_name())).map(|entry| entry.path()).collect();
        found.sort();
        found.into_iter().next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_directory_with_a_driver_counts() {
        let root = tempfile::tempdir().unwrap();
        let [empty, full] = ["a", "b"].map(|name| root.path().join(name));
        for directory in [&empty, &full] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("lvp_icd.x86_64.json"), "").unwrap();
        }
        assert_eq!(driver(&[&empty, &full]), None);
        fs::write(full.join("nvidia_icd.json"), "").unwrap();
        assert_eq!(driver(&[Path::new("/nowhere"), &empty, &full]), Some(full.join("nvidia_icd.json")));
    }

    #[test]
    #[cfg(unix)]
    fn the_users_paths_and_those_of_the_machine_come_first() {
        let mut environment = vec![("LD_LIBRARY_PATH".into(), "/a:/b".into()), ("VK_DRIVER_FILES".into(), "x".into())];
        set_loader(Path::new("/pack"), true, &mut environment);
        environment.sort();
        let paths = format!("/a:/b:{}:/pack/lib", LIBRARIES.join(":"));
        let expected = [("LD_LIBRARY_PATH", paths.as_str()), ("VK_DRIVER_FILES", "x")];
        assert_eq!(environment, expected.map(|(key, value)| (OsString::from(key), OsString::from(value))));
        set_loader(Path::new("/other"), false, &mut environment);
        assert_eq!(environment.len(), 2);
    }
}

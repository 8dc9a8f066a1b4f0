//! Devices that a model runs on: CPU kernels, and a GPU if there is one.

use std::path::Path;
#[cfg(feature = "cpu-variants")]
use std::{path::PathBuf, sync::OnceLock};

use llama_cpp_2::{LlamaBackendDeviceType, list_llama_ggml_backend_devices};
use serde::Serialize;

/// Part of a model that goes to a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gpu {
    /// The whole model, if there is a GPU that this build can use.
    #[default]
    Auto,
    /// No part of the model.
    Off,
    /// This many of the last layers.
    Layers(u32),
}

/// A device that llama.cpp can run on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Name in llama.cpp, such as `CUDA0`, `Vulkan0` or `CPU`.
    pub name: String,
    /// Name given by the manufacturer.
    pub description: String,
    /// llama.cpp backend that drives the device.
    pub backend: String,
    /// Whether it is a GPU, discrete or integrated.
    pub gpu: bool,
    /// Free memory in bytes, as the device reports it; 0 if it reports none.
    pub memory_free: u64,
}

/// Devices and placement of a loaded model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// All devices that this build found.
    pub devices: Vec<Device>,
    /// Number of layers requested for the GPU; with 0 the model runs on the CPU.
    pub gpu_layers: u32,
    /// Reason that no GPU is used; `None` if one is.
    pub why_no_gpu: Option<String>,
}

/// Returns all devices that this build can run on.
pub(super) fn devices() -> Vec<Device> {
    let gpu = |t| matches!(t, LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu);
    let device = |d: llama_cpp_2::LlamaBackendDevice| Device {
        gpu: gpu(d.device_type),
        name: d.name,
        description: d.description,
        backend: d.backend,
        memory_free: d.memory_free as u64,
    };
    list_llama_ggml_backend_devices().into_iter().map(device).collect()
}

/// Decides how many layers go to a GPU, before anything is loaded.
pub(super) fn place(wanted: Gpu, devices: Vec<Device>) -> Placement {
    let why = match wanted {
        Gpu::Off | Gpu::Layers(0) => Some("it was not asked for".to_owned()),
        _ if devices.iter().any(|d| d.gpu) => None,
        _ if cfg!(any(feature = "cuda", feature = "metal", feature = "vulkan")) => {
            Some("none was found that this build can use".to_owned())
        }
        _ => Some("this build has no support for any (features cuda, metal, vulkan)".to_owned()),
    };
    let gpu_layers = match (&why, wanted) {
        (Some(_), _) => 0,
        (None, Gpu::Layers(n)) => n,
        // More layers than any model has.
        (None, _) => i32::MAX as u32,
    };
    Placement { devices, gpu_layers, why_no_gpu: why }
}

/// Folder in which [`load_kernels`] looks for kernels.
#[cfg(feature = "cpu-variants")]
static KERNELS: OnceLock<PathBuf> = OnceLock::new();

/// Sets the folder of llama.cpp's kernels: one library per kind of CPU (`libggml-cpu-*.so`). Call
/// this before the first model is loaded, if the app's libraries are not in the folder of its
/// executable (on Android: `nativeLibraryDir`). Without the feature `cpu-variants` it has no
/// effect.
pub fn kernels_in(folder: impl AsRef<Path>) {
    #[cfg(feature = "cpu-variants")]
    let _ = KERNELS.set(folder.as_ref().to_path_buf());
    #[cfg(not(feature = "cpu-variants"))]
    let _ = folder;
}

/// Loads the best kernels for this CPU from a single folder: the one set by the app, else the
/// executable's, else the build's.
pub(super) fn load_kernels() {
    #[cfg(feature = "cpu-variants")]
    {
        let beside = || std::env::current_exe().ok()?.parent().map(Path::to_path_buf);
        let has_any = |folder: &PathBuf| {
            let kernels = |e: std::fs::DirEntry| e.file_name().to_string_lossy().contains("ggml-cpu");
            std::fs::read_dir(folder).is_ok_and(|files| files.flatten().any(kernels))
        };
        match KERNELS.get().cloned().or_else(|| beside().filter(has_any)) {
            Some(folder) if folder.to_str().is_some() => llama_cpp_2::llama_backend::load_backends_from_path(&folder),
            _ => llama_cpp_2::llama_backend::load_backends(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(gpu: bool) -> Device {
        Device { name: "X0".into(), description: String::new(), backend: String::new(), gpu, memory_free: 0 }
    }

    #[test]
    fn a_gpu_is_used_if_there_is_one_and_it_is_wanted() {
        let both = || vec![device(false), device(true)];
        assert_eq!(place(Gpu::Auto, both()).gpu_layers, i32::MAX as u32);
        assert_eq!(place(Gpu::Layers(3), both()).gpu_layers, 3);
        assert_eq!(place(Gpu::Layers(3), both()).why_no_gpu, None);
        for (wanted, devices) in [(Gpu::Off, both()), (Gpu::Layers(0), both()), (Gpu::Auto, vec![device(false)])] {
            let placed = place(wanted, devices);
            assert_eq!(placed.gpu_layers, 0, "{wanted:?}");
            assert!(placed.why_no_gpu.is_some());
        }
    }
}

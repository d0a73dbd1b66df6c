//! Generates the protobuf code without a protoc on the machine.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or("no manifest dir")?).join("../../proto");
    let files = [
        "inference/grpc_service.proto",
        "tidemill/events/v1/notices.proto",
        "tidemill/feature/v1/feature.proto",
        "tidemill/training/v1/training.proto",
        "tidemill/evaluation/v1/evaluation.proto",
        "tidemill/monitoring/v1/monitoring.proto",
    ];
    println!("cargo::rerun-if-changed={}", root.display());
    let descriptors = protox::compile(files, [&root])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}

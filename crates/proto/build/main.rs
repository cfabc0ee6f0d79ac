//! Compiles the `.proto` files without protoc, and writes two things from the same descriptors: the
//! prost types, and the field tables that the JSON codec and the binary check work from.
//!
//! `schema` flattens the descriptors into plain lists, `names` spells things as prost does, `quirks`
//! holds what the descriptors cannot say, `emit` writes the Rust text.
mod emit;
mod names;
mod quirks;
mod schema;

use std::error::Error;
use std::path::PathBuf;

const FILES: &[&str] = &[
    "mesos/v1/mesos.proto",
    "mesos/v1/allocator.proto",
    "mesos/v1/maintenance.proto",
    "mesos/v1/quota.proto",
    "mesos/v1/scheduler.proto",
    "mesos/v1/executor.proto",
    "mesos/v1/master.proto",
    "mesos/v1/agent.proto",
    "mesos/v1/resource_provider.proto",
    "mesos/scheduler.proto",
    "mesos/internal/slave_info.proto",
    "mesos/internal/messages.proto",
    "mesos/internal/registry.proto",
    "mesos/internal/authentication.proto",
    "mesos/acls.proto",
    "mesos/authorization.proto",
    "mesos/fetcher.proto",
    "mesos/seccomp.proto",
    "mesos/slave/containerizer.proto",
    "mesos/slave/oversubscription.proto",
    "mesos/uri.proto",
    "meseta/registry.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build");
    let set = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    let schema = schema::Schema::from_descriptors(&set)?;
    quirks::check(&schema)?;
    std::fs::write(out.join("tables.rs"), emit::tables(&schema)?)?;

    let mut config = prost_build::Config::new();
    config
        .out_dir(&out)
        .include_file("all.rs")
        .btree_map(["."])
        .bytes(["."]);
    for field in quirks::BOXED {
        config.boxed(field);
    }
    config.compile_fds(set)?;
    Ok(())
}

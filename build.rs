//! Compiles `proto/` to Rust and to a descriptor set for reflection, and makes the description of the REST API small.
//! Needs no `protoc`.

use prost::Message;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

const ROOT: &str = "proto";
const DESCRIPTION: &str = "src/transport/rest/openapi.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    println!("cargo:rerun-if-changed={DESCRIPTION}");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    fs::write(out.join("openapi.json"), without_white_space(&fs::read_to_string(DESCRIPTION)?))?;

    // The bytes come from protox itself: prost-types would drop the custom options.
    let bytes = descriptors("certmint/v1")?;
    fs::write(out.join("certmint.fds.bin"), &bytes)?;

    let mut config = tonic_prost_build::Config::new();
    // The command line finds the descriptor of a message by its name.
    config.enable_type_names();
    tonic_prost_build::configure()
        .generate_default_stubs(false)
        // DER is handed on, not changed: `Bytes` clones without a copy.
        .bytes(".certmint.v1")
        .btree_map(".certmint.v1.Issuer")
        // These hold secrets; `src/proto.rs` writes their Debug by hand.
        .skip_debug([
            ".certmint.v1.BackupCertificateResponse",
            ".certmint.v1.DecryptResponse",
            ".certmint.v1.EncryptRequest",
            ".certmint.v1.ImportAuthorityRequest",
            ".certmint.v1.ImportCertificateRequest",
            ".certmint.v1.Issuer",
            ".certmint.v1.IssuerCredentials",
            ".certmint.v1.MergeCertificateRequest",
            ".certmint.v1.RestoreCertificateRequest",
            ".certmint.v1.Secret",
            ".certmint.v1.SetWebhookRequest",
            ".certmint.v1.SetWebhookResponse",
            ".certmint.v1.UnwrapKeyResponse",
            ".certmint.v1.WrapKeyRequest",
        ])
        .compile_fds_with_config(prost_types::FileDescriptorSet::decode(bytes.as_slice())?, config)?;

    // Apart from the contract of the server, whose descriptor set its reflection serves.
    let bytes = descriptors("certmint/issuer/v1")?;
    tonic_prost_build::configure()
        .generate_default_stubs(false)
        .btree_map(".certmint.issuer.v1.IssuerConfig")
        .skip_debug([".certmint.issuer.v1.IssuerConfig"])
        .compile_fds_with_config(
            prost_types::FileDescriptorSet::decode(bytes.as_slice())?,
            tonic_prost_build::Config::new(),
        )?;
    Ok(())
}

/// The descriptor set of one folder and its imports.
fn descriptors(folder: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(proto_files(&Path::new(ROOT).join(folder))?)?;
    Ok(compiler.encode_file_descriptor_set())
}

/// JSON as it is served: the white space is for those who write it, and a third of the file.
fn without_white_space(json: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let keep = |c: &char| {
        let kept = inside || !c.is_ascii_whitespace();
        inside = if inside { escaped || *c != '"' } else { *c == '"' };
        escaped = inside && !escaped && *c == '\\';
        kept
    };
    json.chars().filter(keep).collect()
}

/// Every `.proto` of a folder, in the order of their names so that a build can be repeated.
fn proto_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "proto"));
    files.sort();
    Ok(files)
}

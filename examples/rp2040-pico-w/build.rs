//! Hands the memory map to the linker, and the device's identity and the CA it trusts to the
//! program: the PEM files that the environment names, as DER.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::copy("memory.x", out.join("memory.x"))?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=memory.x");
    for argument in ["--nmagic", "-Tlink.x", "-Tlink-rp.x"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    for (variable, name) in [
        ("CA_PEM", "ca.der"),
        ("CERT_PEM", "cert.der"),
        ("KEY_PEM", "key.der"),
    ] {
        println!("cargo:rerun-if-env-changed={variable}");
        let der = match env::var(variable) {
            Ok(path) => {
                println!("cargo:rerun-if-changed={path}");
                let pem = fs::read(path)?;
                let decoded = pem_rfc7468::decode_vec(&pem);
                decoded.map_err(|error| format!("{variable}: {error}"))?.1
            }
            // Builds, and refuses to start.
            Err(_) => Vec::new(),
        };
        fs::write(out.join(name), der)?;
    }
    Ok(())
}

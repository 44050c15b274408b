//! Compiles the shim in C against the headers of the PHP that `$PHP_CONFIG`, else `php-config`,
//! names.

use std::env;
use std::error::Error;
use std::fs;
use std::process::Command;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=PHP_CONFIG");
    println!("cargo::rerun-if-changed=src/zend");
    let program = env::var("PHP_CONFIG").unwrap_or_else(|_| "php-config".to_owned());
    let mut build = cc::Build::new();
    for entry in fs::read_dir("src/zend")? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "c") {
            build.file(path);
        }
    }
    build.warnings(true);
    // PHP's headers are not ours to mend.
    for flag in includes(&program)?.split_whitespace() {
        build.flag(flag.replacen("-I", "-isystem", 1));
    }
    build.flag("-Wno-unused-parameter");
    build.define(
        "STREAM_SOCKET_VERSION",
        Some(format!("\"{}\"", env::var("CARGO_PKG_VERSION")?).as_str()),
    );
    build.compile("stream_socket_shim");
    // What C calls of Rust is in the same file, which nobody else is to step between.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic-functions");
    // A lookup that was given up goes on in its thread, for which the code has to stay when PHP
    // unloads its extensions.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    Ok(())
}

/// The include flags that php-config tells.
fn includes(program: &str) -> Result<String, Box<dyn Error>> {
    let output = Command::new(program)
        .arg("--includes")
        .output()
        .map_err(|error| format!("cannot run {program} (Debian's php-dev has it): {error}"))?;
    if !output.status.success() {
        return Err(format!("{program} --includes failed: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

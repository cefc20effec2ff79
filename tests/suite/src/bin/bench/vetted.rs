//! Judging a component, beside one pass of the validator that every engine makes over the same bytes.

use crate::report::Report;
use anyhow::{Context as _, Result, ensure};
use attache::vet::{Policy, Verdict, vet};
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use suite::host::{binary, component};
use wasmparser::{Validator, WasmFeatures};

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    eprintln!("vetting");
    let policy = Policy::profile("internal").context("the profile `internal`")?;
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/vet/python.wasm");
    match std::fs::read(&python) {
        Ok(bytes) => {
            let (mut ratios, mut times) = (Vec::new(), Vec::new());
            for _ in 0..if report.quick { 3 } else { 9 } {
                let started = Instant::now();
                black_box(Validator::new_with_features(WasmFeatures::all()).validate_all(&bytes)?);
                let validated = started.elapsed().as_secs_f64();
                let started = Instant::now();
                black_box(vet("python.wasm", &bytes, None, &policy));
                let vetted = started.elapsed().as_secs_f64();
                ratios.push(vetted / validated);
                times.push(vetted * 1e3);
            }
            let mib = bytes.len() >> 20;
            report.add(&format!("vetting a Python component of {mib} MiB"), "ms", &mut times, None);
            report.add("the same, to one pass of validation", "×", &mut ratios, Some("< 3"));
            if let Some(peak) = peak(&python)? {
                report.add(
                    "peak memory of vetting it, to its size",
                    "×",
                    &mut [peak / bytes.len() as f64],
                    Some("< 4"),
                );
            }
        }
        Err(_) => eprintln!("  SKIPPED: the Python component; `cargo xtask strangers` makes it"),
    }
    let small = component("hello")?;
    let mut times = Vec::new();
    for _ in 0..if report.quick { 5 } else { 21 } {
        let started = Instant::now();
        let done = Command::new(binary()?).arg("vet").arg(&small).stdout(Stdio::null()).status()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        ensure!(done.code() == Some(Verdict::Allowed as i32), "`attache vet` allows the example");
    }
    report.add("vetting a small Rust agent, the whole process", "ms", &mut times, Some("< 50 ms"));
    Ok(())
}

/// The most memory that vetting this file took, in bytes, as GNU `time` says. None where there is no such program.
fn peak(file: &Path) -> Result<Option<f64>> {
    let Ok(out) = Command::new("/usr/bin/time").args(["-f", "%M"]).arg(binary()?).arg("vet").arg(file).output() else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&out.stderr);
    let kib: f64 = text.lines().last().unwrap_or_default().trim().parse().context("a number of KiB")?;
    Ok(Some(kib * 1024.0))
}

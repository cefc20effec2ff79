//! The benchmark that later work is held against: ratios in one run, on this machine, now.
//!
//! Single figures depend on the machine and on what else it does; the ratios are what to keep. Writes a table for people
//! to standard output and `target/bench.json` for programs.

mod bare;
mod inside;
mod load;
mod report;
mod served;

use anyhow::Result;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.first().map(String::as_str) {
            // Started by this program itself: the same component on the same engine without identity.
            Some("bare") => bare::serve(&args[1..]).await,
            _ => {
                let quick = args.iter().any(|a| a == "--quick");
                let mut report = report::Report::new(quick);
                inside::measure(&mut report).await?;
                served::measure(&mut report).await?;
                report.finish()
            }
        }
    })
}

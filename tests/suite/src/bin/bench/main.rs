//! The benchmark that later work is held against: ratios in one run, on this machine, now.
//!
//! Single figures depend on the machine and on what else it does; the ratios are what to keep. Writes a table for people
//! to standard output and `target/bench.json` for programs.

mod api;
mod bare;
mod flights;
mod hostile;
mod inside;
mod load;
mod opened;
mod report;
mod rows;
mod served;
mod signed;
mod timing;
mod vetted;
mod wall;

use anyhow::Result;

/// No rate that a benchmark reaches: what a polite caller may ask for is not what is measured.
pub(crate) const NO_RATE: &str = "\n[limits]\ncaller_rate = 100000000\nagent_rate = 100000000\n";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = attache::runtime::threads().build()?;
    runtime.block_on(async {
        match args.first().map(String::as_str) {
            // Started by this program itself: the same component on the same engine without identity.
            Some("bare") => bare::serve(&args[1..]).await,
            // And the same HTTP server with a handler that reads a body and answers one.
            Some("plain") => api::plain(&args[1..]).await,
            _ => {
                let quick = args.iter().any(|a| a == "--quick");
                let mut report = report::Report::new(quick);
                // Each part alone, where one is named: `flights`, `hostile`, `rows`, `api`, `inside`, `served`, `timing`,
                // `vet` or `wall`.
                let parts: Vec<&str> = args.iter().map(String::as_str).filter(|a| !a.starts_with("--")).collect();
                let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
                if wanted("inside") {
                    inside::measure(&mut report).await?;
                }
                if wanted("flights") {
                    flights::measure(&mut report).await?;
                }
                if wanted("hostile") {
                    hostile::measure(&mut report).await?;
                }
                if wanted("rows") {
                    rows::measure(&mut report).await?;
                }
                if wanted("api") {
                    api::measure(&mut report).await?;
                }
                if wanted("timing") {
                    timing::measure(&mut report).await?;
                }
                if wanted("wall") {
                    wall::measure(&mut report).await?;
                }
                if wanted("vet") {
                    vetted::measure(&mut report)?;
                }
                if wanted("served") {
                    served::measure(&mut report).await?;
                }
                report.finish()
            }
        }
    })
}

//! Collects figures; prints a table and writes JSON.

use anyhow::Result;
use serde_json::{Value, json};

/// All figures of one run.
pub(crate) struct Report {
    pub(crate) quick: bool,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    spread: Option<(f64, f64)>,
    aim: Option<String>,
}

impl Report {
    pub(crate) fn new(quick: bool) -> Self {
        Self { quick, rows: Vec::new() }
    }

    /// One figure: the median of its samples, with the smallest and largest beside it.
    pub(crate) fn add(&mut self, name: &str, unit: &'static str, samples: &mut [f64], aim: Option<&str>) -> f64 {
        samples.sort_by(f64::total_cmp);
        let median = samples[samples.len() / 2];
        let spread = (samples.len() > 1).then(|| (samples[0], samples[samples.len() - 1]));
        eprintln!("  {name}: {median:.3} {unit}");
        self.rows.push(Row { name: name.to_owned(), value: median, unit, spread, aim: aim.map(str::to_owned) });
        median
    }

    pub(crate) fn finish(self) -> Result<()> {
        println!("| what | median | min to max | aim |\n|---|--:|--:|---|");
        for row in &self.rows {
            let spread = row.spread.map_or(String::new(), |(low, high)| format!("{low:.2} to {high:.2}"));
            println!(
                "| {} | {:.2} {} | {spread} | {} |",
                row.name,
                row.value,
                row.unit,
                row.aim.as_deref().unwrap_or("")
            );
        }
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|r| json!({ "name": r.name, "median": r.value, "unit": r.unit, "min": r.spread.map(|s| s.0), "max": r.spread.map(|s| s.1), "aim": r.aim }))
            .collect();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench.json");
        std::fs::write(&path, serde_json::to_vec_pretty(&json!({ "quick": self.quick, "rows": rows }))?)?;
        eprintln!("wrote target/bench.json");
        Ok(())
    }
}

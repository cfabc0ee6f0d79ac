//! `meseta sim allocator`: the allocator's figures beside Mesos's.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use meseta_sim::allocator::{self, Row, SHAPES, Size};
use serde_json::Value;

/// Which figures.
#[derive(Debug, Clone, clap::Args)]
pub struct Figures {
    /// One shape alone; `list` says which there are
    #[arg(long)]
    pub shape: Option<String>,
    /// Agents of that shape
    #[arg(long, default_value_t = 1000, requires = "shape")]
    pub agents: usize,
    /// Frameworks of that shape
    #[arg(long, default_value_t = 50, requires = "shape")]
    pub frameworks: usize,
    /// Roles of that shape; 1 is `*`
    #[arg(long, default_value_t = 1, requires = "shape")]
    pub roles: usize,
    /// Instead: 1,000 to 50,000 agents and 1 to 6,000 frameworks; takes minutes
    #[arg(long, conflicts_with = "shape")]
    pub grid: bool,
    /// Print a JSON object a row instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Measures and prints row by row.
///
/// # Errors
/// There is no such shape, or a part of the figures failed.
pub fn run(figures: &Figures) -> anyhow::Result<i32> {
    let Some(shape) = &figures.shape else {
        return run_list(figures);
    };
    if shape == "list" {
        for (name, what) in SHAPES {
            println!("{name:<18} {what}");
        }
        return Ok(0);
    }
    let size = Size {
        agents: figures.agents,
        frameworks: figures.frameworks,
        roles: figures.roles,
    };
    head(figures);
    let mut print = |row: &Row| show(figures, row);
    if !allocator::measure(shape, size, resident_bytes, &mut print) {
        bail!("--shape={shape}: there is none of that size; see --shape=list");
    }
    Ok(0)
}

/// Each shape in a process of its own, so that none finds memory that another gave back.
fn run_list(figures: &Figures) -> anyhow::Result<i32> {
    let list = if figures.grid {
        allocator::grid()
    } else {
        allocator::mesos_list()
    };
    head(figures);
    for asked in list {
        let Size {
            agents,
            frameworks,
            roles,
        } = asked.size;
        let output = Command::new(std::env::current_exe().context("this program")?)
            .args(["sim", "allocator", "--json", "--shape", asked.shape])
            .args(["--agents", &agents.to_string()])
            .args(["--frameworks", &frameworks.to_string()])
            .args(["--roles", &roles.to_string()])
            .stderr(Stdio::inherit())
            .output()
            .context("this program again")?;
        let rows = String::from_utf8_lossy(&output.stdout);
        for line in rows.lines() {
            let row = read(line).with_context(|| format!("{}: '{line}'", asked.shape))?;
            show(figures, &row);
        }
        if !output.status.success() {
            bail!("{} failed: {}", asked.shape, output.status);
        }
    }
    Ok(0)
}

fn head(figures: &Figures) {
    if !figures.json {
        println!("{}", Row::HEADING);
    }
}

fn show(figures: &Figures, row: &Row) {
    if figures.json {
        println!("{}", row.json());
    } else {
        println!("{}", row.line());
    }
}

/// What [`Row::json`] wrote.
fn read(line: &str) -> Option<Row> {
    let value: Value = serde_json::from_str(line).ok()?;
    let count = |name: &str| usize::try_from(value.get(name)?.as_u64()?).ok();
    Some(Row {
        shape: value.get("shape")?.as_str()?.to_owned(),
        size: Size {
            agents: count("agents")?,
            frameworks: count("frameworks")?,
            roles: count("roles")?,
        },
        p50_ms: value.get("p50_ms")?.as_f64()?,
        p99_ms: value.get("p99_ms")?.as_f64()?,
        offers: count("offers")?,
        bytes: value.get("bytes")?.as_u64()?,
    })
}

/// What this process has in memory, as the system counts it.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_survives_its_way_through_a_process() {
        let row = Row {
            shape: "decline/steady".to_owned(),
            size: Size {
                agents: 10_000,
                frameworks: 50,
                roles: 1,
            },
            p50_ms: 1.5,
            p99_ms: 2.25,
            offers: 0,
            bytes: 4096,
        };
        assert_eq!(read(&row.json()), Some(row.clone()));
        // Mesos: 2,832 ms.
        assert!(row.line().ends_with("2832.0     1888"), "{}", row.line());
        assert_eq!(read("{}"), None);
    }

    #[test]
    fn memory_can_be_seen() {
        assert!(resident_bytes() > 1 << 20);
    }
}

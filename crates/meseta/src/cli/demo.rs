//! The demo of `meseta up --demo`: counts the words of the files in a folder, one task a file, then
//! one task that adds them up. An ordinary framework over the public API.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use meseta_proto::mesos::v1::{self, TaskState, framework_info::capability::Type as Capability};

use super::framework::{Framework, Happening, Wanted};
use super::output::{Output, Stream, is_over};
use super::placement::Needs;

/// The most files that are counted; a demo should not take long.
const FILES: usize = 60;
/// The most folders and files that are looked at to find them.
const LOOKED_AT: usize = 20_000;
/// What is worth counting.
const ENDINGS: &[&str] = &[
    "md", "rs", "toml", "txt", "proto", "py", "c", "h", "go", "java", "sh",
];
/// How long the whole may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs it on the cluster at `master` over the files below `folder`.
///
/// # Errors
/// There is nothing to count, a task failed, or it took too long.
pub async fn run(master: &str, folder: &Path) -> anyhow::Result<()> {
    let files = files(folder);
    if files.is_empty() {
        bail!("{} holds no text files to count", folder.display());
    }
    match tokio::time::timeout(PATIENCE, count(master, folder, &files)).await {
        Ok(result) => result,
        Err(_) => bail!("the demo did not end within {PATIENCE:?}"),
    }
}

async fn count(master: &str, folder: &Path, files: &[PathBuf]) -> anyhow::Result<()> {
    let started = Instant::now();
    println!(
        "demo: counting the words of {} files in {}, one task a file",
        files.len(),
        folder.display()
    );
    let mut framework = Framework::subscribe(master, info()).await?;
    framework
        .add(
            files
                .iter()
                .enumerate()
                .map(|(index, file)| count_task(index, file))
                .collect(),
        )
        .await?;
    let mut progress = Progress::new(files.len());
    let mut counts = vec![0_u64; files.len()];
    for _ in 0..files.len() {
        let index = next_finished(&mut framework).await?;
        let text = stdout(&framework, index).await?;
        let words = text
            .trim()
            .parse()
            .with_context(|| format!("task {index} printed '{text}'"))?;
        if let Some(slot) = counts.get_mut(index) {
            *slot = words;
        }
        progress.step(
            files.get(index).map_or(Path::new("?"), PathBuf::as_path),
            words,
            &framework,
            index,
        );
    }
    progress.end();
    println!("demo: all counted; one more task adds them up");
    framework.add(vec![sum_task(&counts)]).await?;
    let merged = next_finished(&mut framework).await?;
    print!("demo: {}", stdout(&framework, merged).await?);
    framework.tear_down().await?;
    let tasks = files.len() + 1;
    println!(
        "demo: {tasks} tasks in {:.2} s",
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

fn info() -> v1::FrameworkInfo {
    let capabilities = [
        Capability::MultiRole,
        Capability::PartitionAware,
        Capability::ReservationRefinement,
    ];
    v1::FrameworkInfo {
        user: meseta_container::current_user(),
        name: "word count demo".to_owned(),
        roles: vec!["*".to_owned()],
        capabilities: capabilities
            .into_iter()
            .map(|kind| v1::framework_info::Capability {
                r#type: Some(kind.into()),
            })
            .collect(),
        ..Default::default()
    }
}

fn wanted(id: String, command: v1::CommandInfo) -> Wanted {
    let task = v1::TaskInfo {
        name: id.clone(),
        task_id: v1::TaskId { value: id },
        command: Some(command),
        ..Default::default()
    };
    let needs = Needs {
        scalars: vec![("cpus", 0.1), ("mem", 16.0)],
        constraints: Vec::new(),
    };
    Wanted { task, needs }
}

fn count_task(index: usize, file: &Path) -> Wanted {
    let variable = v1::environment::Variable {
        name: "FILE".to_owned(),
        value: Some(file.display().to_string()),
        ..Default::default()
    };
    let command = v1::CommandInfo {
        value: Some("wc -w < \"$FILE\"".to_owned()),
        environment: Some(v1::Environment {
            variables: vec![variable],
        }),
        ..Default::default()
    };
    wanted(format!("count-{index:03}"), command)
}

fn sum_task(counts: &[u64]) -> Wanted {
    let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
    let line = format!(
        "sum=0; for n in {}; do sum=$((sum + n)); done; echo \"$sum words in {} files\"",
        counts.join(" "),
        counts.len()
    );
    wanted(
        "sum".to_owned(),
        v1::CommandInfo {
            value: Some(line),
            ..Default::default()
        },
    )
}

/// The next task that finished; any other end is an error.
async fn next_finished(framework: &mut Framework) -> anyhow::Result<usize> {
    loop {
        let Happening::Update { index, status } = framework.next().await? else {
            continue;
        };
        match status.state() {
            TaskState::TaskFinished => return Ok(index),
            state if is_over(state) => {
                bail!(
                    "task {} is {}: {}",
                    status.task_id.value,
                    state.as_str_name(),
                    status.message()
                )
            }
            _ => {}
        }
    }
}

async fn stdout(framework: &Framework, index: usize) -> anyhow::Result<String> {
    let (Some(place), Some(wanted)) = (framework.placed(index), framework.wanted().get(index))
    else {
        bail!("task {index} was never placed");
    };
    let task = &wanted.task.task_id.value;
    let mut output = Output::new(&place.agent, &framework.id().value, task, Stream::Stdout);
    Ok(String::from_utf8_lossy(&output.read().await?).into_owned())
}

/// Text files below `folder`, in order of their names, hidden folders and build output left out.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    let mut looked_at = 0;
    while let Some(next) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        for path in paths {
            looked_at += 1;
            if found.len() >= FILES || looked_at > LOOKED_AT {
                return found;
            }
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            if name.starts_with('.') || name == "target" || path.is_symlink() {
                continue;
            }
            let ending = path
                .extension()
                .and_then(|ending| ending.to_str())
                .unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if ENDINGS.contains(&ending) {
                found.push(path);
            }
        }
    }
    found
}

/// A line that grows on a terminal, a line now and then elsewhere.
struct Progress {
    total: usize,
    done: usize,
    live: bool,
}

impl Progress {
    fn new(total: usize) -> Self {
        Self {
            total,
            done: 0,
            live: std::io::stdout().is_terminal(),
        }
    }

    fn step(&mut self, file: &Path, words: u64, framework: &Framework, index: usize) {
        self.done += 1;
        let name = file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let host = framework
            .placed(index)
            .map_or("?", |place| place.agent.as_str());
        let line = format!(
            "demo: {:3}/{} {name}: {words} words (on {host})",
            self.done, self.total
        );
        if self.live {
            print!("\r\x1b[K{line}");
            // A terminal that cannot be written to shows no progress; the result comes all the same.
            let _ = std::io::stdout().flush();
        } else if self.done.is_multiple_of(10) || self.done == self.total {
            println!("{line}");
        }
    }

    fn end(&self) {
        if self.live {
            println!();
        }
    }
}

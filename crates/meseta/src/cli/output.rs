//! Follows what a task prints: reads its sandbox's files from the agent that runs it.

use std::io::Write;

use meseta_client::{ClientError, OperatorClient};
use meseta_proto::mesos::v1;

/// Which of a task's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `stdout` in the sandbox.
    Stdout,
    /// `stderr` in the sandbox.
    Stderr,
}

/// Reads one output of one task, from where it stopped last time.
pub struct Output {
    client: OperatorClient,
    path: String,
    stream: Stream,
    offset: u64,
}

impl Output {
    /// The output of the executor run that `framework` has on the agent at `agent` (`ip:port`).
    #[must_use]
    pub fn new(agent: &str, framework: &str, executor: &str, stream: Stream) -> Self {
        let name = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        let path = format!("/frameworks/{framework}/executors/{executor}/runs/latest/{name}");
        Self {
            client: OperatorClient::new(agent),
            path,
            stream,
            offset: 0,
        }
    }

    /// Everything that is new since the last call.
    ///
    /// # Errors
    /// The agent cannot be read from; a file that is not there yet is merely empty.
    pub async fn read(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut new = Vec::new();
        loop {
            let part = match self.client.read_file(&self.path, self.offset, None).await {
                Ok(part) => part,
                Err(error) if error.status() == Some(404) => return Ok(new),
                Err(error) => return Err(error),
            };
            if part.data.is_empty() {
                return Ok(new);
            }
            self.offset += part.data.len() as u64;
            new.extend_from_slice(&part.data);
        }
    }

    /// Prints everything that is new, each line behind `prefix`.
    ///
    /// # Errors
    /// The agent cannot be read from, or nobody reads what is printed.
    pub async fn print(&mut self, prefix: &str) -> anyhow::Result<()> {
        let new = self.read().await?;
        let shown = if prefix.is_empty() {
            new
        } else {
            prefixed(&new, prefix)
        };
        match self.stream {
            Stream::Stdout => write_all(std::io::stdout(), &shown)?,
            Stream::Stderr => write_all(std::io::stderr(), &shown)?,
        }
        Ok(())
    }
}

fn write_all(mut to: impl Write, bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

fn prefixed(bytes: &[u8], prefix: &str) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len() + prefix.len());
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        shown.extend_from_slice(prefix.as_bytes());
        shown.extend_from_slice(line);
    }
    if !bytes.is_empty() && !bytes.ends_with(b"\n") {
        shown.push(b'\n');
    }
    shown
}

/// Whether a task in this state will never run again.
#[must_use]
pub fn is_over(state: v1::TaskState) -> bool {
    use v1::TaskState as S;
    matches!(
        state,
        S::TaskFinished
            | S::TaskFailed
            | S::TaskKilled
            | S::TaskError
            | S::TaskLost
            | S::TaskDropped
            | S::TaskGone
            | S::TaskGoneByOperator
    )
}

#[cfg(test)]
mod tests {
    use super::prefixed;

    #[test]
    fn every_line_gets_its_prefix() {
        assert_eq!(prefixed(b"a\nb", "[1] "), b"[1] a\n[1] b\n");
        assert_eq!(prefixed(b"", "[1] "), b"");
    }
}

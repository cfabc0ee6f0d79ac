//! Effects as text.

use meseta_agent::event::{Effect, Timer};
use meseta_agent::view::Delta;
use meseta_model::step::{Effect as Wish, Write};

use super::super::print::compact;
use super::Script;

impl Script {
    pub(super) fn print(&mut self, wish: &Wish<Timer, Effect>) -> String {
        let text = match wish {
            Wish::SetTimer { key, at_us } => {
                let at = meseta_model::units::Duration::from_nanos(*at_us as i64 * 1000);
                format!("SetTimer {} at {at}", compact(&format!("{key:?}")))
            }
            Wish::CancelTimer { key } => format!("CancelTimer {}", compact(&format!("{key:?}"))),
            Wish::Persist { seq: _, writes } => {
                let writes: Vec<String> = writes.iter().map(print_write).collect();
                format!("Persist {}", writes.join(", "))
            }
            Wish::Propose { .. } => unreachable!(),
            Wish::Do { effect, .. } => print_effect(effect),
        };
        self.names.shorten(&text)
    }
}

fn print_effect(effect: &Effect) -> String {
    match effect {
        Effect::Send { to, message } => {
            format!("Send {to}: {}", compact(&format!("{message:?}")))
        }
        Effect::Changed(Delta::Task {
            container_id,
            task,
            list,
        }) => format!(
            "Changed Task {} {} {:?} {} statuses={}",
            container_id,
            task.task_id.value,
            list,
            task.state().as_str_name(),
            task.statuses.len()
        ),
        Effect::Changed(delta) => format!("Changed {}", compact(&format!("{delta:?}"))),
        other => compact(&format!("{other:?}")),
    }
}

fn print_write(write: &Write) -> String {
    match write {
        Write::Put { path, bytes } => format!("put {path} ({} bytes)", bytes.len()),
        Write::Append { path, bytes } => format!("append {path} ({} bytes)", bytes.len()),
        Write::Symlink { path, target } => format!("link {path} -> {target}"),
        Write::Delete { path } => format!("delete {path}"),
    }
}

//! Carries out a list of steps. No choices here: a step either works or ends the list.

use std::io;

use crate::kernel::Kernel;
use crate::step::Step;

/// The step that did not work, and why.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}: {error}")]
pub struct StepFault {
    /// As [`Step`] prints itself.
    pub step: String,
    /// The kernel's answer.
    pub error: io::Error,
}

/// Does the steps in order and stops at the first that fails.
///
/// # Errors
///
/// [`StepFault`] of that step. After a [`Step::Execute`] or [`Step::CommandExecutor`] that worked,
/// nothing returns.
pub fn execute(kernel: &mut dyn Kernel, steps: &[Step]) -> Result<(), StepFault> {
    for step in steps {
        one(kernel, step).map_err(|error| StepFault {
            step: headline(step),
            error,
        })?;
    }
    Ok(())
}

/// A program's arguments can be of any length; its name says enough in a message.
fn headline(step: &Step) -> String {
    match step {
        Step::Execute { program, .. } => format!("run {program}"),
        Step::CommandExecutor { .. } => "go on as the command executor".to_owned(),
        step => step.to_string(),
    }
}

fn one(kernel: &mut dyn Kernel, step: &Step) -> io::Result<()> {
    match step {
        Step::MakeDirectory { path, mode, owner } => {
            kernel.make_directory(path, *mode, owner.as_deref())
        }
        Step::Link { path, target } => kernel.link(path, target),
        Step::MakeCgroup { path } => kernel.make_cgroup(path),
        Step::WriteControl { path, value } => kernel.write_control(path, value),
        Step::NewSession => kernel.new_session(),
        Step::Tag { tag } => kernel.carry_tag(*tag),
        Step::SetRlimit {
            resource,
            soft,
            hard,
        } => kernel.set_rlimit(resource, *soft, *hard),
        Step::SetUmask { mask } => {
            kernel.set_umask(*mask);
            Ok(())
        }
        Step::SwitchUser { user } => kernel.switch_user(user),
        Step::DieWithSupervisor => kernel.die_with_supervisor(),
        Step::ChangeDirectory { path } => kernel.change_directory(path),
        Step::OpenOutput { output, path } => kernel.open_output(*output, path),
        Step::CommandExecutor {
            arguments,
            environment,
        } => Err(kernel.command_executor(arguments, environment)),
        Step::Execute {
            program,
            arguments,
            environment,
        } => Err(kernel.execute(program, arguments, environment)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::kernel::recording::Recording;
    use crate::step::Output;

    fn every_step() -> Vec<Step> {
        let text = str::to_owned;
        vec![
            Step::MakeDirectory {
                path: text("/s"),
                mode: 0o750,
                owner: Some(text("ann")),
            },
            Step::Link {
                path: text("/latest"),
                target: text("/s"),
            },
            Step::MakeCgroup {
                path: text("/cg/a"),
            },
            Step::WriteControl {
                path: text("/cg/a/cpu.shares"),
                value: text("2"),
            },
            Step::NewSession,
            Step::Tag { tag: 7 },
            Step::SetRlimit {
                resource: text("NOFILE"),
                soft: Some(1),
                hard: None,
            },
            Step::SetUmask { mask: 0o022 },
            Step::SwitchUser { user: text("ann") },
            Step::DieWithSupervisor,
            Step::ChangeDirectory { path: text("/s") },
            Step::OpenOutput {
                output: Output::Stderr,
                path: text("stderr"),
            },
            Step::Execute {
                program: text("/bin/x"),
                arguments: vec![text("x")],
                environment: BTreeMap::from([(text("SECRET"), text("s3"))]),
            },
        ]
    }

    const EVERY_CALL: [&str; 13] = [
        "mkdir /s 750 Some(\"ann\")",
        "link /latest /s",
        "mkcgroup /cg/a",
        "write /cg/a/cpu.shares 2",
        "setsid",
        "tag 7",
        "rlimit NOFILE Some(1) None",
        "umask 22",
        "user ann",
        "pdeathsig",
        "chdir /s",
        "Stderr stderr",
        "exec /bin/x [\"x\"] {\"SECRET\": \"s3\"}",
    ];

    #[test]
    fn each_step_is_one_call_in_order() {
        let mut kernel = Recording::default();
        let fault = execute(&mut kernel, &every_step());
        assert_eq!(kernel.calls, EVERY_CALL);
        assert_eq!(
            fault.map_err(|fault| fault.to_string()),
            Err("cannot run /bin/x: entity not found".to_owned())
        );
    }

    #[test]
    fn nothing_follows_the_command_executor() {
        let mut steps = every_step();
        steps.truncate(1);
        let (arguments, environment) = (vec!["x".to_owned()], BTreeMap::new());
        let executor = Step::CommandExecutor {
            arguments,
            environment,
        };
        steps.insert(0, executor);
        let mut kernel = Recording::default();
        let fault = execute(&mut kernel, &steps);
        assert_eq!(kernel.calls, ["command executor [\"x\"] {}"]);
        assert_eq!(
            fault.map_err(|fault| fault.to_string()),
            Err("cannot go on as the command executor: entity not found".to_owned())
        );
    }

    #[test]
    fn the_first_failing_step_is_the_last_done() {
        for (index, step) in every_step().iter().enumerate() {
            if matches!(step, Step::SetUmask { .. }) {
                continue; // umask(2) always works
            }
            let mut kernel = Recording {
                fail_at: Some(index),
                ..Recording::default()
            };
            let message = execute(&mut kernel, &every_step()).map_err(|fault| fault.to_string());
            assert_eq!(kernel.calls, EVERY_CALL[..=index]);
            let expected = format!("cannot {}: Permission denied (os error 13)", headline(step));
            assert_eq!(message, Err(expected));
        }
    }

    #[test]
    fn a_message_never_holds_the_value_of_an_environment_variable() {
        assert!(
            every_step()
                .iter()
                .all(|step| !step.to_string().contains("s3"))
        );
    }
}

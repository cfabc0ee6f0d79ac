//! Random lives of an agent.

use std::collections::BTreeSet;

use meseta_agent::event::Event;
use meseta_model::task_state::is_terminal;
use proptest::prelude::*;

use super::script::{Script, test_config};
use super::watch::{Fate, Watch};
use super::world::DiskMode;

/// Lines of the script language, with small ids so that they meet. Framework `f` checkpoints, `g`
/// does not; a task's id begins with its framework's.
pub fn line() -> impl Strategy<Value = String> {
    let framework = prop::sample::select(vec!["f", "g"]);
    let executor = prop::sample::select(vec!["e1", "e2"]);
    let task = 0..4u8;
    let parts = (framework, executor, task, 0..8u64, 1..6u8, any::<bool>());
    (parts, 0..32u8).prop_map(|((f, e, t, n, c, flag), kind)| {
        let task = format!("{f}.{t}");
        match kind {
            0 | 1 => format!("run-task {f} {task} executor={e}"),
            2 => format!("run-task {f} {task} executor={e} launch_executor={flag}"),
            3 => format!("run-task {f} {task}"),
            4 => format!("run-group {f} {task},{f}.{} executor={e}", (t + 1) % 4),
            5 | 6 => format!("container launched c{c}"),
            7 => format!("container terminated c{c} status=0"),
            8 => format!("container failed c{c}"),
            9 | 10 => format!("subscribe {f} {e} stream=s{n}"),
            11 => format!("subscribe {f} {task} stream=s{n} updates={task}:TASK_RUNNING:{n}"),
            12 => format!("closed s{n}"),
            13 | 14 => format!("update {f} {e} {task} TASK_RUNNING {n}"),
            15 => format!("update {f} {e} {task} TASK_FINISHED {n}"),
            16 => format!("update {f} {task} {task} TASK_FINISHED {n}"),
            17 => format!("kill {f} {task}"),
            18 => format!("message {f} {e}"),
            19 => format!("shutdown-executor {f} {e}"),
            20 => "broken".to_owned(),
            21 => "detect".to_owned(),
            22 => "reregistered".to_owned(),
            23 => format!("reconcile {f} {task}"),
            24 => format!("advance {n}secs"),
            25 | 30 => "disk holds".to_owned(),
            26 | 31 => "disk fails".to_owned(),
            27 => "disk works".to_owned(),
            28 => format!("framework-message {f} {e}"),
            _ => "ping from=slave-observer(1)@127.0.0.1:5050".to_owned(),
        }
    })
}

/// What a test does: a line, an acknowledgement of what is on its way, or the end of the process.
#[derive(Debug, Clone)]
pub enum Action {
    Line(String),
    /// Acknowledge the n-th update on its way.
    Acknowledge(usize),
    /// The oldest held write is done, or fails.
    Flush,
    Fail,
    Restart,
}

pub fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        40 => line().prop_map(Action::Line),
        15 => (0..8usize).prop_map(Action::Acknowledge),
        6 => Just(Action::Flush),
        3 => Just(Action::Fail),
        1 => Just(Action::Restart),
    ]
}

pub struct Test {
    pub script: Script,
    pub watch: Watch,
    checkpoints: BTreeSet<String>,
}

impl Default for Test {
    /// An agent that has not started.
    fn default() -> Self {
        Self {
            script: Script::new(test_config()),
            watch: Watch::default(),
            checkpoints: BTreeSet::from(["f".to_owned()]),
        }
    }
}

impl Test {
    /// An agent that is registered, and two frameworks.
    pub fn new() -> Self {
        let mut test = Self::default();
        test.line("framework f checkpoint aware");
        test.line("framework g");
        for line in ["start", "detect", "advance 2secs", "registered"] {
            test.line(line);
        }
        test
    }

    pub fn line(&mut self, text: &str) {
        let event = self.script.parse(text);
        match event {
            None => {
                let watch = &mut self.watch;
                let checkpoints = &self.checkpoints;
                self.script.run_watched(text, &mut |wish, world| {
                    watch.check(wish, world, checkpoints);
                });
            }
            Some(event) => self.event(event),
        }
        for run in std::mem::take(&mut self.watch.runs) {
            self.script.names.name('c', &run);
        }
    }

    pub fn event(&mut self, event: Event) {
        if let Event::ExecutorCalled { request, .. } = &event {
            self.watch.open.insert(*request);
        }
        let watch = &mut self.watch;
        let checkpoints = &self.checkpoints;
        self.script.world.step_watched(event, &mut |wish, world| {
            watch.check(wish, world, checkpoints);
        });
        assert!(self.watch.open.is_empty(), "a request got no answer");
    }

    /// An agent with a running executor of each framework, and a task on it.
    pub fn busy() -> Self {
        let mut test = Self::new();
        for line in [
            "run-task f f.0 executor=e1",
            "container launched c1",
            "subscribe f e1 stream=s0",
            "run-task g g.0 executor=e1",
            "container launched c2",
            "subscribe g e1 stream=s1",
        ] {
            test.line(line);
        }
        test
    }

    pub fn run(&mut self, action: &Action) {
        match action {
            Action::Line(text) => self.line(text),
            Action::Acknowledge(n) => {
                let mut all = self.watch.in_flight.keys();
                if let Some(key) = all.nth(*n).cloned() {
                    self.acknowledge(key);
                }
            }
            Action::Flush => {
                if let Some(done) = self.script.world.flush_one() {
                    self.event(done);
                }
            }
            Action::Fail => {
                if let Some(failed) = self.script.world.fail_one() {
                    self.event(failed);
                }
            }
            Action::Restart => {
                // What the disk held is lost with the process.
                self.script.world.held.clear();
                self.script.world.disk = DiskMode::Works;
                self.watch.restarted(&self.checkpoints);
                self.line("restart");
            }
        }
    }

    fn acknowledge(&mut self, key: (String, String)) {
        let update = self.watch.in_flight[&key].clone();
        self.watch.acknowledged.insert(key.clone());
        let event = self.script.acknowledgement(&update);
        if is_terminal(update.status.state()) {
            let written = self.script.world.written.len();
            self.watch.history.push((written, key, Fate::Settled));
        }
        self.event(event);
    }

    /// Faults off: the disk works, a master is there and acknowledges everything.
    pub fn settle(&mut self) {
        self.line("disk works");
        while let Some(done) = self.script.world.flush_one() {
            self.event(done);
        }
        self.line("detect");
        self.line("advance 20secs");
        self.line("reregistered");
        for _ in 0..200 {
            let open: Vec<_> = self.watch.in_flight.keys().cloned().collect();
            for key in open {
                self.acknowledge(key);
            }
            self.line("advance 1mins");
            self.line("ping from=slave-observer(1)@127.0.0.1:5050");
        }
    }
}

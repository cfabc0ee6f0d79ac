use meseta_proto::mesos::v1;

use super::said;
use crate::validation::{check, check_status, health_check};

fn shell(value: Option<&str>) -> v1::CommandInfo {
    v1::CommandInfo {
        value: value.map(str::to_owned),
        ..Default::default()
    }
}

fn without_value() -> v1::CommandInfo {
    let variable = v1::environment::Variable {
        name: "X".to_owned(),
        ..Default::default()
    };
    v1::CommandInfo {
        environment: Some(v1::Environment {
            variables: vec![variable],
        }),
        ..shell(Some("true"))
    }
}

#[test]
fn health_checks() {
    use v1::health_check::{HttpCheckInfo, Type};
    let says = |kind: Option<i32>, fill: &dyn Fn(&mut v1::HealthCheck)| {
        let mut wire = v1::HealthCheck {
            r#type: kind,
            ..Default::default()
        };
        fill(&mut wire);
        said(health_check(&wire))
    };
    let [unknown, command, http, tcp] =
        [Type::Unknown, Type::Command, Type::Http, Type::Tcp].map(|kind| Some(kind as i32));
    let path = |path: &str| {
        Some(HttpCheckInfo {
            path: Some(path.to_owned()),
            ..Default::default()
        })
    };
    let scheme = |s: &str| {
        Some(HttpCheckInfo {
            scheme: Some(s.to_owned()),
            ..Default::default()
        })
    };
    assert_eq!(says(None, &|_| ()), "HealthCheck must specify 'type'");
    assert_eq!(says(Some(99), &|_| ()), "HealthCheck must specify 'type'");
    assert_eq!(
        says(unknown, &|_| ()),
        "'UNKNOWN' is not a valid health check type"
    );
    assert_eq!(
        says(command, &|_| ()),
        "Expecting 'command' to be set for COMMAND health check"
    );
    assert_eq!(
        says(command, &|c| c.command = Some(shell(None))),
        "Command health check must contain 'shell command'"
    );
    assert_eq!(
        says(command, &|c| c.command = Some(v1::CommandInfo {
            shell: Some(false),
            ..shell(None)
        })),
        "Command health check must contain 'executable path'"
    );
    assert_eq!(
        says(command, &|c| c.command = Some(without_value())),
        "Health check's `CommandInfo` is invalid: Environment variable 'X' of type 'VALUE' must \
         have a value set"
    );
    assert_eq!(
        says(http, &|_| ()),
        "Expecting 'http' to be set for HTTP health check"
    );
    assert_eq!(
        says(http, &|c| c.http = scheme("ftp")),
        "Unsupported HTTP health check scheme: 'ftp'"
    );
    assert_eq!(
        says(http, &|c| c.http = path("x")),
        "The path 'x' of HTTP health check must start with '/'"
    );
    assert_eq!(
        says(tcp, &|_| ()),
        "Expecting 'tcp' to be set for TCP health check"
    );
    assert_eq!(says(http, &|c| c.http = scheme("https")), "ok");
    assert_eq!(says(http, &|c| c.http = path("/")), "ok");
    assert_eq!(
        says(command, &|c| c.command = Some(shell(Some("true")))),
        "ok"
    );
    let timed = |fill: &dyn Fn(&mut v1::HealthCheck)| {
        says(tcp, &|c| {
            c.tcp = Some(Default::default());
            fill(c);
        })
    };
    let negative = |field: &str| format!("Expecting '{field}' to be non-negative");
    assert_eq!(
        timed(&|c| c.delay_seconds = Some(-1.0)),
        negative("delay_seconds")
    );
    assert_eq!(
        timed(&|c| c.grace_period_seconds = Some(-1.0)),
        negative("grace_period_seconds")
    );
    assert_eq!(
        timed(&|c| c.interval_seconds = Some(-0.1)),
        negative("interval_seconds")
    );
    assert_eq!(
        timed(&|c| c.timeout_seconds = Some(f64::NAN)),
        negative("timeout_seconds")
    );
    assert_eq!(timed(&|c| c.timeout_seconds = Some(0.0)), "ok");
}

#[test]
fn checks() {
    use v1::check_info::{Command, Http, Type};
    let says = |kind: Option<Type>, fill: &dyn Fn(&mut v1::CheckInfo)| {
        let mut wire = v1::CheckInfo {
            r#type: kind.map(|k| k as i32),
            ..Default::default()
        };
        fill(&mut wire);
        said(check(&wire))
    };
    let command = |command| Some(Command { command });
    assert_eq!(says(None, &|_| ()), "CheckInfo must specify 'type'");
    assert_eq!(
        says(Some(Type::Unknown), &|_| ()),
        "'UNKNOWN' is not a valid check type"
    );
    assert_eq!(
        says(Some(Type::Command), &|_| ()),
        "Expecting 'command' to be set for COMMAND check"
    );
    assert_eq!(
        says(Some(Type::Command), &|c| c.command = command(shell(None))),
        "Command check must contain 'shell command'"
    );
    assert_eq!(
        says(Some(Type::Command), &|c| c.command =
            command(without_value())),
        "Check's `CommandInfo` is invalid: Environment variable 'X' of type 'VALUE' must have a \
         value set"
    );
    assert_eq!(
        says(Some(Type::Http), &|_| ()),
        "Expecting 'http' to be set for HTTP check"
    );
    assert_eq!(
        says(Some(Type::Http), &|c| c.http = Some(Http {
            path: Some("x".into()),
            port: 1
        })),
        "The path 'x' of HTTP check must start with '/'"
    );
    assert_eq!(
        says(Some(Type::Tcp), &|_| ()),
        "Expecting 'tcp' to be set for TCP check"
    );
    assert_eq!(
        says(Some(Type::Tcp), &|c| {
            c.tcp = Some(Default::default());
            c.interval_seconds = Some(-1.0);
        }),
        "Expecting 'interval_seconds' to be non-negative"
    );
    assert_eq!(
        says(Some(Type::Tcp), &|c| c.tcp = Some(Default::default())),
        "ok"
    );
}

#[test]
fn statuses_of_checks() {
    use v1::check_info::Type;
    let says = |kind: Option<Type>, full: bool| {
        said(check_status(&v1::CheckStatusInfo {
            r#type: kind.map(|k| k as i32),
            command: full.then(Default::default),
            http: full.then(Default::default),
            tcp: full.then(Default::default),
        }))
    };
    assert_eq!(says(None, true), "CheckStatusInfo must specify 'type'");
    assert_eq!(
        says(Some(Type::Unknown), true),
        "'UNKNOWN' is not a valid check's status type"
    );
    for (kind, field, name) in [
        (Type::Command, "command", "COMMAND"),
        (Type::Http, "http", "HTTP"),
        (Type::Tcp, "tcp", "TCP"),
    ] {
        let wanted = format!("Expecting '{field}' to be set for {name} check's status");
        assert_eq!(says(Some(kind), false), wanted);
        assert_eq!(says(Some(kind), true), "ok");
    }
}

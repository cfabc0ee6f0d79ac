//! Files: what is attached can be seen, nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::os::unix::fs::symlink;
use std::path::Path;

use meseta_agent::view::{Delta, ExecutorView};
use meseta_api::limits;
use meseta_model::ids::{ContainerId, ExecutorId, FrameworkId};
use meseta_proto::mesos::v1;
use serde_json::json;
use support::{AgentServed, agent_with};

const JSON: &str = "Content-Type: application/json\r\n";

fn executor(directory: &Path) -> Delta {
    Delta::Executor(Box::new(ExecutorView {
        framework: FrameworkId::from("f"),
        info: v1::ExecutorInfo {
            executor_id: v1::ExecutorId {
                value: "e".to_owned(),
            },
            framework_id: Some(FrameworkId::from("f").to_wire()),
            ..Default::default()
        },
        container_id: ContainerId::root("c"),
        directory: directory.to_string_lossy().into_owned(),
        command_executor: true,
        resources: Vec::new(),
    }))
}

/// An agent with one sandbox, and a secret beside it.
async fn sandbox() -> (AgentServed, tempfile::TempDir, String) {
    let root = tempfile::tempdir().unwrap();
    let sandbox = root.path().join("sandbox");
    std::fs::create_dir_all(sandbox.join("data")).unwrap();
    std::fs::write(sandbox.join("stdout"), "hello\n").unwrap();
    std::fs::write(root.path().join("secret"), "secret").unwrap();
    symlink(root.path().join("secret"), sandbox.join("leak")).unwrap();
    symlink("stdout", sandbox.join("inside")).unwrap();
    let log = root.path().join("log");
    std::fs::write(&log, "a line\n").unwrap();
    let agent = agent_with(|config| config.logs.file = Some(log)).await;
    let info = v1::FrameworkInfo {
        id: Some(FrameworkId::from("f").to_wire()),
        ..Default::default()
    };
    agent.api.apply(&Delta::Framework(Box::new(info)));
    agent.api.apply(&executor(&sandbox));
    let path = sandbox.to_string_lossy().into_owned();
    (agent, root, path)
}

#[tokio::test]
async fn a_sandbox_is_browsed_and_read_by_both_its_paths() {
    let (agent, _root, real) = sandbox().await;
    for base in [real.as_str(), "/frameworks/f/executors/e/runs/latest"] {
        let entries = agent
            .get(&format!("/files/browse?path={base}"))
            .await
            .json();
        let paths: Vec<&str> = entries
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["path"].as_str().unwrap())
            .collect();
        let expected = ["data", "inside", "leak", "stdout"].map(|name| format!("{base}/{name}"));
        assert_eq!(paths, expected);
        let stdout = &entries[3];
        assert_eq!(
            (&stdout["size"], &stdout["mode"], &stdout["nlink"]),
            (&json!(6), &json!("-rw-r--r--"), &json!(1))
        );
        let keys: Vec<&String> = stdout.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["gid", "mode", "mtime", "nlink", "path", "size", "uid"]
        );
        let read = |query: &str| format!("/slave(1)/files/read?path={base}/stdout{query}");
        let answered = async |query: &str| agent.get(&read(query)).await.json();
        assert_eq!(answered("").await, json!({"data": "", "offset": 6}));
        assert_eq!(
            answered("&offset=-1").await,
            json!({"data": "", "offset": 6})
        );
        assert_eq!(
            answered("&offset=0").await,
            json!({"data": "hello\n", "offset": 0})
        );
        assert_eq!(
            answered("&offset=1&length=3").await,
            json!({"data": "ell", "offset": 1})
        );
        assert_eq!(
            answered("&offset=100").await,
            json!({"data": "", "offset": 100})
        );
    }
    let inside = agent
        .get(&format!("/files/read?path={real}/inside&offset=0"))
        .await
        .json();
    assert_eq!(inside["data"], "hello\n");
    let download = agent
        .get(&format!("/files/download?path={real}/stdout"))
        .await;
    assert_eq!(download.text(), "hello\n");
    assert_eq!(
        download.headers["content-disposition"],
        "attachment; filename=\"stdout\""
    );
    let debug = agent.get("/files/debug").await.json();
    assert_eq!(debug["/frameworks/f/executors/e/runs/latest"], real);
}

#[tokio::test]
async fn nothing_else_is_seen() {
    let (agent, root, real) = sandbox().await;
    let secret = root.path().join("secret");
    for path in [
        secret.to_string_lossy().into_owned(),
        format!("{real}/../secret"),
        format!("{real}/data/../../secret"),
        format!("{real}/leak"),
        format!("{real}/nosuch"),
        format!("{real}/stdout/below"),
        "/frameworks/f/executors/e/runs/latest/../../../../../../../etc/passwd".to_owned(),
        "/etc/passwd".to_owned(),
        "etc/passwd".to_owned(),
        "/".to_owned(),
    ] {
        for endpoint in ["browse", "read", "download"] {
            let answer = agent
                .get(&format!("/files/{endpoint}?path={path}&offset=0"))
                .await;
            assert_eq!(answer.code(), 404, "{endpoint} {path}: {}", answer.text());
        }
    }
    let answer = agent
        .get(&format!("/files/read?path={real}/data&offset=0"))
        .await;
    assert_eq!(
        (answer.code(), answer.text().as_str()),
        (400, "Cannot read a directory.\n")
    );
    let answer = agent.get("/files/read").await;
    assert_eq!(
        (answer.code(), answer.text().as_str()),
        (400, "Expecting 'path=value' in query.\n")
    );
    assert_eq!(
        agent
            .get(&format!("/files/read?path={real}/stdout&offset=x"))
            .await
            .code(),
        400
    );
    assert_eq!(
        agent
            .get(&format!("/files/read?path={real}/stdout&offset=-2"))
            .await
            .code(),
        400
    );
}

#[tokio::test]
async fn one_read_is_sixteen_pages_at_most() {
    let (agent, root, real) = sandbox().await;
    let cap = limits::FILE_PAGES * limits::PAGE_BYTES;
    std::fs::write(root.path().join("sandbox/big"), "x".repeat(3 * cap)).unwrap();
    let read = agent
        .get(&format!(
            "/files/read?path={real}/big&offset=10&length=1000000"
        ))
        .await
        .json();
    assert_eq!(read["data"].as_str().unwrap().len(), cap);
    let body = format!(
        r#"{{"type":"READ_FILE","read_file":{{"path":"{real}/big","offset":{}}}}}"#,
        3 * cap - 1
    );
    let answer = agent.post("/api/v1", JSON, &body).await.json();
    assert_eq!(
        answer,
        json!({"type": "READ_FILE", "read_file": {"size": 3 * cap, "data": "eA=="}})
    );
}

#[tokio::test]
async fn operators_list_and_read() {
    let (agent, _root, _) = sandbox().await;
    let base = "/frameworks/f/executors/e/runs/latest";
    let body = format!(r#"{{"type":"LIST_FILES","list_files":{{"path":"{base}"}}}}"#);
    let listed = agent.post("/api/v1", JSON, &body).await.json();
    let stdout = &listed["list_files"]["file_infos"][3];
    assert_eq!(
        (&stdout["path"], &stdout["size"], &stdout["mode"]),
        (
            &json!(format!("{base}/stdout")),
            &json!(6),
            &json!(0o100_644)
        )
    );
    let body = r#"{"type":"READ_FILE","read_file":{"path":"/slave/log","offset":2}}"#;
    let read = agent.post("/api/v1", JSON, body).await.json();
    assert_eq!(
        read,
        json!({"type": "READ_FILE", "read_file": {"size": 7, "data": "bGluZQo="}})
    );
}

#[tokio::test]
async fn a_forgotten_run_is_no_longer_shown() {
    let (agent, root, real) = sandbox().await;
    let newer = root.path().join("newer");
    std::fs::create_dir(&newer).unwrap();
    let Delta::Executor(mut view) = executor(&newer) else {
        panic!("not an executor");
    };
    view.container_id = ContainerId::root("c2");
    agent.api.apply(&Delta::Executor(view));
    agent.api.apply(&Delta::ExecutorForgotten {
        framework: FrameworkId::from("f"),
        executor: ExecutorId::from("e"),
        container_id: ContainerId::root("c"),
    });
    assert_eq!(
        agent
            .get(&format!("/files/browse?path={real}"))
            .await
            .code(),
        404
    );
    let latest = agent
        .get("/files/browse?path=/frameworks/f/executors/e/runs/latest")
        .await;
    assert_eq!(latest.json(), json!([]));
    agent
        .api
        .apply(&Delta::FrameworkForgotten(FrameworkId::from("f")));
    let latest = agent
        .get("/files/browse?path=/frameworks/f/executors/e/runs/latest")
        .await;
    assert_eq!(latest.code(), 404);
}

#[tokio::test]
async fn a_listing_is_cut_off_at_the_limit() {
    let (agent, root, real) = sandbox().await;
    let crowded = root.path().join("sandbox/crowded");
    std::fs::create_dir(&crowded).unwrap();
    for number in 0..limits::DIRECTORY_ENTRIES {
        std::fs::write(crowded.join(number.to_string()), "").unwrap();
    }
    let count = async || {
        let path = format!("/files/browse?path={real}/crowded");
        let entries = agent.get(&path).await.json();
        entries.as_array().unwrap().len()
    };
    assert_eq!(count().await, limits::DIRECTORY_ENTRIES);
    std::fs::write(crowded.join("one more"), "").unwrap();
    assert_eq!(count().await, limits::DIRECTORY_ENTRIES);
}
